//! Tests with a server on this machine.

mod server;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use burn_store::ModuleSnapshot;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::cache::Cache;
use super::error::DownloadError;
use super::transfer::Client;
use crate::cancellation::CancellationToken;
use crate::hex::hex;
use crate::model::config::{Backbone, ModelConfig, PublishedWeights, WeightsSource};
use crate::model::weights::load_weights;
use crate::model::{BackboneNetwork, Conv4, ConvAlgorithm, EmbedderConfig};
use crate::progress::NoProgress;
use server::{Answer, Request, Server};

const NAME: &str = "weights-12345678.pth";

/// Long enough for local transfers on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A file of many different chunks.
fn content() -> Vec<u8> {
    (0..300_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn published(name: &'static str, content: &[u8]) -> PublishedWeights {
    PublishedWeights {
        backbone: Backbone::Conv4,
        source: WeightsSource::ImageNet,
        folder: "https://published.invalid/",
        name,
        sha256: sha256(content).leak(),
    }
}

/// A cache in a temporary folder, with a mirror.
struct TestCache {
    file: PublishedWeights,
    folder: TempDir,
    mirror: String,
    timeout: Duration,
}

impl TestCache {
    fn new(server: &Server) -> Self {
        Self {
            file: published(NAME, &content()),
            folder: TempDir::new().unwrap(),
            mirror: server.address.clone(),
            timeout: TIMEOUT,
        }
    }

    fn locate_with(&self, cancellation: &CancellationToken) -> Result<PathBuf, DownloadError> {
        let cache = Cache {
            folder: self.folder.path().join("weights"),
            mirror: Some(self.mirror.clone()),
            client: Client {
                timeout: self.timeout,
                proxy: None,
            },
            cancellation,
            progress: &NoProgress,
        };
        cache.locate(&self.file)
    }

    fn locate(&self) -> Result<PathBuf, DownloadError> {
        self.locate_with(&CancellationToken::new())
    }

    fn assert_located(&self) {
        let path = self.locate().unwrap();
        assert_eq!(path, self.path());
        assert!(fs::read(path).unwrap() == content());
        assert!(!self.part().exists());
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("weights").join(NAME)
    }

    fn part(&self) -> PathBuf {
        self.path().with_extension("pth.part")
    }

    fn write_part(&self, bytes: &[u8]) {
        fs::create_dir_all(self.part().parent().unwrap()).unwrap();
        fs::write(self.part(), bytes).unwrap();
    }
}

fn file_server() -> Server {
    Server::start(|_, request| Answer::file(&content(), request))
}

fn request(from: Option<usize>) -> Request {
    let path = format!("/files/{NAME}");
    Request { path, from }
}

#[test]
fn file_is_downloaded_once() {
    let server = file_server();
    let cache = TestCache::new(&server);
    cache.assert_located();
    cache.assert_located();
    assert_eq!(server.requests(), [request(None)]);
}

#[test]
fn incomplete_transfer_is_resumed() {
    let server = Server::start(|before, request| {
        let missing = if before == 0 { 100_000 } else { 0 };
        Answer::file(&content(), request).truncated(missing)
    });
    let cache = TestCache::new(&server);
    let error = cache.locate().unwrap_err();
    let text = error.to_string();
    assert!(!error.is_user_error());
    assert!(
        text.contains("stopped after 200000 bytes") && text.contains(&server.address),
        "{text}"
    );
    assert!(fs::read(cache.part()).unwrap() == content()[..200_000]);
    assert!(!cache.path().exists());
    cache.assert_located();
    assert_eq!(server.requests()[1..], [request(Some(200_000))]);
}

#[test]
fn server_without_ranges_sends_the_whole_file() {
    let server = Server::start(|_, _| Answer::new("200 OK", "", &content()));
    let cache = TestCache::new(&server);
    cache.write_part(&content()[..70_000]);
    cache.assert_located();
    assert_eq!(server.requests(), [request(Some(70_000))]);
}

#[test]
fn part_that_cannot_be_resumed_is_downloaded_from_the_start() {
    let refused = || Answer::new("416 Range Not Satisfiable", "", b"");
    let other_range = || {
        let range = "Content-Range: bytes 5-299999/300000\r\n";
        Answer::new("206 Partial Content", range, &content()[5..])
    };
    let missing_range = || Answer::new("206 Partial Content", "", &content());
    let answers: [fn() -> Answer; 3] = [refused, other_range, missing_range];
    for answer in answers {
        let server = Server::start(move |before, request| match before {
            0 => answer(),
            _ => Answer::file(&content(), request),
        });
        let cache = TestCache::new(&server);
        cache.write_part(&[7; 400_000]);
        cache.assert_located();
        assert_eq!(
            server.requests(),
            [request(Some(400_000)), request(None)],
            "the second request is for the whole file"
        );
    }
}

#[test]
fn complete_part_needs_no_request() {
    let server = file_server();
    let cache = TestCache::new(&server);
    cache.write_part(&content());
    cache.assert_located();
    assert_eq!(server.requests(), []);
}

#[test]
fn redirection_is_followed_with_the_range() {
    let server = Server::start(|_, request| match request.path.as_str() {
        "/elsewhere" => Answer::file(&content(), request),
        _ => Answer::new("302 Found", "Location: /elsewhere\r\n", b""),
    });
    let cache = TestCache::new(&server);
    cache.write_part(&content()[..70_000]);
    cache.assert_located();
    let ranges = server.requests().into_iter().map(|request| request.from);
    assert_eq!(ranges.collect::<Vec<_>>(), [Some(70_000); 2]);
}

#[test]
fn file_of_unknown_length_is_downloaded_completely() {
    let server = Server::start(|_, _| {
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        Answer {
            bytes: [head.as_bytes(), &content()].concat(),
            silence: Duration::ZERO,
        }
    });
    TestCache::new(&server).assert_located();
}

#[test]
fn file_with_another_hash_is_refused_and_deleted() {
    let server = Server::start(|before, request| match before {
        0 => Answer::new("200 OK", "", b"<html>Please log in</html>"),
        _ => Answer::file(&content(), request),
    });
    let cache = TestCache::new(&server);
    let error = cache.locate().unwrap_err();
    let text = error.to_string();
    assert!(!error.is_user_error());
    for part in [
        &server.address,
        &sha256(&content()),
        &sha256(b"<html>Please log in</html>"),
    ] {
        assert!(text.contains(part.as_str()), "{text}");
    }
    assert!(!cache.part().exists() && !cache.path().exists());
    cache.assert_located();
}

#[test]
fn missing_file_is_reported_with_its_address_and_the_solution() {
    let server = Server::start(|_, _| Answer::new("404 Not Found", "", b"no such file"));
    let cache = TestCache::new(&server);
    let error = cache.locate().unwrap_err();
    let text = error.to_string();
    assert!(!error.is_user_error());
    let start = format!(
        "cannot download {}/{NAME}: the server answers with status 404",
        server.address
    );
    assert!(text.starts_with(&start), "{text}");
    let solution = format!("save it as {}", cache.path().display());
    assert!(
        text.contains(&solution) && text.contains("LOOP_DML_WEIGHTS_MIRROR"),
        "{text}"
    );
    assert!(!cache.part().exists());
}

#[test]
fn unreachable_server_is_reported() {
    let server = file_server();
    let mut cache = TestCache::new(&server);
    // A port that was free a moment before.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    cache.mirror = format!("http://{port}/files");
    let text = cache.locate().unwrap_err().to_string();
    assert!(
        text.starts_with(&format!("cannot download http://{port}/files/{NAME}: ")),
        "{text}"
    );
}

#[test]
fn silent_server_times_out_and_the_part_is_kept() {
    let server = Server::start(|before, request| match before {
        0 => Answer::file(&content(), request)
            .truncated(50_000)
            .then_hang(),
        1 => Answer::new("200 OK", "", b"").truncated(20).then_hang(),
        _ => Answer::file(&content(), request),
    });
    let mut cache = TestCache::new(&server);
    cache.timeout = Duration::from_millis(400);
    let text = cache.locate().unwrap_err().to_string();
    assert!(
        text.contains("stopped after 250000 bytes: no data for 0.4 s"),
        "{text}"
    );
    let text = cache.locate().unwrap_err().to_string();
    assert!(text.contains("no data for 0.4 s"), "{text}");
    assert_eq!(fs::metadata(cache.part()).unwrap().len(), 250_000);
    cache.timeout = TIMEOUT;
    cache.assert_located();
}

#[test]
fn cancellation_stops_the_transfer_at_once_and_keeps_the_part() {
    let server = Server::start(|before, request| match before {
        0 => Answer::file(&content(), request)
            .truncated(50_000)
            .then_hang(),
        _ => Answer::file(&content(), request),
    });
    let cache = TestCache::new(&server);
    let since = Instant::now();
    // Cancels once the server has sent everything.
    let all_received = || fs::metadata(cache.part()).is_ok_and(|part| part.len() == 250_000);
    let cancellation = CancellationToken::new();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            while !all_received() {
                thread::sleep(Duration::from_millis(1));
            }
            cancellation.cancel();
        });
        cache.locate_with(&cancellation).unwrap_err()
    });
    assert!(matches!(error, DownloadError::Cancelled));
    assert!(since.elapsed() < TIMEOUT);
    cache.assert_located();
}

#[test]
fn simultaneous_callers_share_one_download() {
    let server = Server::start(|_, request| {
        // Meanwhile the other callers start.
        thread::sleep(Duration::from_millis(300));
        Answer::file(&content(), request)
    });
    let cache = TestCache::new(&server);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| cache.assert_located());
        }
    });
    assert_eq!(server.requests(), [request(None)]);
}

#[test]
fn waiting_for_another_download_can_be_cancelled() {
    let first = CancellationToken::new();
    let server =
        Server::start(|_, request| Answer::file(&content(), request).truncated(1).then_hang());
    let cache = TestCache::new(&server);
    thread::scope(|scope| {
        scope.spawn(|| cache.locate_with(&first));
        while server.requests().is_empty() {
            thread::sleep(Duration::from_millis(10));
        }
        let second = CancellationToken::new();
        second.cancel();
        let error = cache.locate_with(&second).unwrap_err();
        assert!(matches!(error, DownloadError::Cancelled));
        first.cancel();
    });
}

#[test]
fn damaged_file_is_named_and_kept() {
    let server = file_server();
    let cache = TestCache::new(&server);
    cache.assert_located();
    let mut damaged = content();
    damaged[123_456] ^= 1;
    fs::write(cache.path(), &damaged).unwrap();
    let error = cache.locate().unwrap_err();
    let text = error.to_string();
    assert!(error.is_user_error());
    assert!(
        text.starts_with(&format!("{} is damaged", cache.path().display()))
            && text.contains("delete it"),
        "{text}"
    );
    assert!(fs::read(cache.path()).unwrap() == damaged);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn unwritable_cache_is_named() {
    let server = file_server();
    let cache = TestCache::new(&server);
    fs::write(cache.folder.path().join("weights"), "a file").unwrap();
    let error = cache.locate().unwrap_err();
    assert!(!error.is_user_error());
    let text = error.to_string();
    assert!(
        text.starts_with("cannot create ") && text.contains("XDG_CACHE_HOME"),
        "{text}"
    );
}

/// All values of a network.
fn numbers(network: &Conv4<burn_flex::Flex>) -> Vec<f32> {
    let tensors = network.collect(None, None, false).into_iter();
    let values = tensors.flat_map(|tensor| tensor.to_data().unwrap().into_vec::<f32>().unwrap());
    values.collect()
}

/// Writes a file of weights for `network`, in PyTorch's order of axes.
fn write_weights(path: &Path, network: &Conv4<burn_flex::Flex>) {
    let tensors = network.collect(None, None, false).into_iter();
    let drawn = tensors.map(|tensor| {
        let shape = match tensor.shape.to_vec()[..] {
            [rows, columns, input, output] => vec![output, input, rows, columns],
            ref shape => shape.to_vec(),
        };
        let count = shape.iter().product::<usize>();
        let wave = (0..count).flat_map(|i| (1.5 + (i as f32 * 1.3).sin()).to_le_bytes());
        (tensor.full_path(), shape, wave.collect::<Vec<u8>>())
    });
    let drawn: Vec<_> = drawn.collect();
    let views = drawn.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name.clone(), view)
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

#[test]
fn embedder_starts_from_the_downloaded_file() {
    let device = Default::default();
    let folder = TempDir::new().unwrap();
    let original = folder.path().join("original.safetensors");
    let network = Conv4::new(ConvAlgorithm::default(), &device);
    write_weights(&original, &network);
    let bytes = fs::read(&original).unwrap();
    let served = bytes.clone();
    let server = Server::start(move |_, request| Answer::file(&served, request));
    let mut cache = TestCache::new(&server);
    cache.file = published("conv4.safetensors", &bytes);

    let config = EmbedderConfig {
        weights: Some(WeightsSource::File(cache.locate().unwrap())),
        ..EmbedderConfig::from(&ModelConfig::default())
    };
    let embedder = config.init_pretrained(&device).unwrap().module;
    let BackboneNetwork::Conv4(found) = embedder.backbone else {
        panic!("conv4 is the default");
    };
    let expected = load_weights(network, &original).unwrap().module;
    assert_eq!(numbers(&found), numbers(&expected));
}
