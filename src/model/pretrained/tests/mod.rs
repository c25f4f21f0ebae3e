//! Downloads from a server on this machine.

mod server;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use burn_store::ModuleSnapshot;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::cache::hex;
use super::transfer::Client;
use super::*;
use crate::cancellation::CancellationToken;
use crate::model::config::ModelConfig;
use crate::model::{BackboneNetwork, Conv4, ConvAlgorithm, EmbedderConfig, load_weights};
use crate::progress::NoProgress;
use server::{Answer, Request, Server};

const NAME: &str = "weights-12345678.pth";

/// Long enough for a loaded machine to send a few bytes to itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file of many pieces; no stretch of it is like another.
fn content() -> Vec<u8> {
    (0..300_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

fn sha256(content: &[u8]) -> String {
    hex(Sha256::new_with_prefix(content))
}

fn published(name: &'static str, content: &[u8]) -> Published {
    Published {
        backbone: "conv4",
        source: WeightsSource::ImageNet,
        folder: "https://published.invalid/",
        name,
        sha256: sha256(content).leak(),
    }
}

/// A cache folder whose files come from a mirror.
struct Scene {
    file: Published,
    folder: TempDir,
    mirror: String,
    patience: Duration,
}

impl Scene {
    fn of(server: &Server) -> Self {
        Self {
            file: published(NAME, &content()),
            folder: TempDir::new().unwrap(),
            mirror: server.address.clone(),
            patience: PATIENCE,
        }
    }

    fn locate_until(
        &self,
        cancellation: &CancellationToken,
    ) -> Result<PathBuf, PublishedWeightsError> {
        let cache = Cache {
            folder: self.folder.path().join("weights"),
            mirror: Some(self.mirror.clone()),
            client: Client {
                patience: self.patience,
                proxy: None,
            },
            cancellation,
            progress: &NoProgress,
        };
        cache.locate(&self.file)
    }

    fn locate(&self) -> Result<PathBuf, PublishedWeightsError> {
        self.locate_until(&CancellationToken::new())
    }

    fn located(&self) {
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

    fn put_part(&self, bytes: &[u8]) {
        fs::create_dir_all(self.part().parent().unwrap()).unwrap();
        fs::write(self.part(), bytes).unwrap();
    }
}

fn serving_the_file() -> Server {
    Server::start(|_, request| Answer::file(&content(), request))
}

fn request(from: Option<usize>) -> Request {
    let path = format!("/files/{NAME}");
    Request { path, from }
}

#[test]
fn a_file_is_downloaded_once() {
    let server = serving_the_file();
    let scene = Scene::of(&server);
    scene.located();
    scene.located();
    assert_eq!(server.requests(), [request(None)]);
}

#[test]
fn a_transfer_that_broke_off_goes_on_where_it_ended() {
    let server = Server::start(|before, request| {
        let missing = if before == 0 { 100_000 } else { 0 };
        Answer::file(&content(), request).cut(missing)
    });
    let scene = Scene::of(&server);
    let error = scene.locate().unwrap_err();
    let text = error.to_string();
    assert!(!error.is_users());
    assert!(
        text.contains("broke off after 200000 bytes") && text.contains(&server.address),
        "{text}"
    );
    assert!(fs::read(scene.part()).unwrap() == content()[..200_000]);
    assert!(!scene.path().exists());
    scene.located();
    assert_eq!(server.requests()[1..], [request(Some(200_000))]);
}

#[test]
fn a_server_that_gives_only_whole_files_begins_anew() {
    let server = Server::start(|_, _| Answer::new("200 OK", "", &content()));
    let scene = Scene::of(&server);
    scene.put_part(&content()[..70_000]);
    scene.located();
    assert_eq!(server.requests(), [request(Some(70_000))]);
}

#[test]
fn a_part_that_the_server_cannot_go_on_from_is_begun_anew() {
    let refused = || Answer::new("416 Range Not Satisfiable", "", b"");
    let elsewhere = || {
        let range = "Content-Range: bytes 5-299999/300000\r\n";
        Answer::new("206 Partial Content", range, &content()[5..])
    };
    let unsaid = || Answer::new("206 Partial Content", "", &content());
    let answers: [fn() -> Answer; 3] = [refused, elsewhere, unsaid];
    for answer in answers {
        let server = Server::start(move |before, request| match before {
            0 => answer(),
            _ => Answer::file(&content(), request),
        });
        let scene = Scene::of(&server);
        scene.put_part(&[7; 400_000]);
        scene.located();
        assert_eq!(
            server.requests(),
            [request(Some(400_000)), request(None)],
            "a second request asks for the whole"
        );
    }
}

#[test]
fn a_part_that_is_whole_already_needs_no_request() {
    let server = serving_the_file();
    let scene = Scene::of(&server);
    scene.put_part(&content());
    scene.located();
    assert_eq!(server.requests(), []);
}

#[test]
fn a_redirection_is_followed_with_the_range() {
    let server = Server::start(|_, request| match request.path.as_str() {
        "/elsewhere" => Answer::file(&content(), request),
        _ => Answer::new("302 Found", "Location: /elsewhere\r\n", b""),
    });
    let scene = Scene::of(&server);
    scene.put_part(&content()[..70_000]);
    scene.located();
    let ranges = server.requests().into_iter().map(|request| request.from);
    assert_eq!(ranges.collect::<Vec<_>>(), [Some(70_000); 2]);
}

#[test]
fn a_file_of_unsaid_length_is_taken_whole() {
    let server = Server::start(|_, _| {
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        Answer {
            bytes: [head.as_bytes(), &content()].concat(),
            silence: Duration::ZERO,
        }
    });
    Scene::of(&server).located();
}

#[test]
fn another_file_than_the_published_one_is_refused_and_not_kept() {
    let server = Server::start(|before, request| match before {
        0 => Answer::new("200 OK", "", b"<html>Please log in</html>"),
        _ => Answer::file(&content(), request),
    });
    let scene = Scene::of(&server);
    let error = scene.locate().unwrap_err();
    let text = error.to_string();
    assert!(!error.is_users());
    for part in [
        &server.address,
        &sha256(&content()),
        &sha256(b"<html>Please log in</html>"),
    ] {
        assert!(text.contains(part.as_str()), "{text}");
    }
    assert!(!scene.part().exists() && !scene.path().exists());
    scene.located();
}

#[test]
fn a_file_that_is_not_there_is_said_with_address_and_mend() {
    let server = Server::start(|_, _| Answer::new("404 Not Found", "", b"no such file"));
    let scene = Scene::of(&server);
    let error = scene.locate().unwrap_err();
    let text = error.to_string();
    assert!(!error.is_users());
    let start = format!(
        "cannot download {}/{NAME}: the server answers with status 404",
        server.address
    );
    assert!(text.starts_with(&start), "{text}");
    let mend = format!("save it as {}", scene.path().display());
    assert!(
        text.contains(&mend) && text.contains("LOOP_DML_WEIGHTS_MIRROR"),
        "{text}"
    );
    assert!(!scene.part().exists());
}

#[test]
fn a_machine_that_is_not_reached_is_said() {
    let server = serving_the_file();
    let mut scene = Scene::of(&server);
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    scene.mirror = format!("http://{port}/files");
    let text = scene.locate().unwrap_err().to_string();
    assert!(
        text.starts_with(&format!("cannot download http://{port}/files/{NAME}: ")),
        "{text}"
    );
}

#[test]
fn a_silent_server_is_given_up_and_what_arrived_is_kept() {
    let server = Server::start(|before, request| match before {
        0 => Answer::file(&content(), request).cut(50_000).then_silent(),
        1 => Answer::new("200 OK", "", b"").cut(20).then_silent(),
        _ => Answer::file(&content(), request),
    });
    let mut scene = Scene::of(&server);
    scene.patience = Duration::from_millis(400);
    let text = scene.locate().unwrap_err().to_string();
    assert!(
        text.contains("broke off after 250000 bytes: nothing came for 0.4 s"),
        "{text}"
    );
    let text = scene.locate().unwrap_err().to_string();
    assert!(text.contains("nothing came for 0.4 s"), "{text}");
    assert_eq!(fs::metadata(scene.part()).unwrap().len(), 250_000);
    scene.patience = PATIENCE;
    scene.located();
}

#[test]
fn an_interruption_ends_the_transfer_at_once_and_keeps_what_arrived() {
    let server = Server::start(|before, request| match before {
        0 => Answer::file(&content(), request).cut(50_000).then_silent(),
        _ => Answer::file(&content(), request),
    });
    let scene = Scene::of(&server);
    let since = Instant::now();
    // Once all that comes has come.
    let arrived = || fs::metadata(scene.part()).is_ok_and(|part| part.len() == 250_000);
    let cancellation = CancellationToken::new();
    let error = thread::scope(|scope| {
        scope.spawn(|| {
            while !arrived() {
                thread::sleep(Duration::from_millis(1));
            }
            cancellation.cancel();
        });
        scene.locate_until(&cancellation).unwrap_err()
    });
    assert!(matches!(error, PublishedWeightsError::Cancelled));
    assert!(since.elapsed() < PATIENCE);
    scene.located();
}

#[test]
fn callers_at_the_same_time_share_one_download() {
    let server = Server::start(|_, request| {
        // The others arrive meanwhile.
        thread::sleep(Duration::from_millis(300));
        Answer::file(&content(), request)
    });
    let scene = Scene::of(&server);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| scene.located());
        }
    });
    assert_eq!(server.requests(), [request(None)]);
}

#[test]
fn waiting_for_another_download_can_be_interrupted() {
    let first = CancellationToken::new();
    let server = Server::start(|_, request| Answer::file(&content(), request).cut(1).then_silent());
    let scene = Scene::of(&server);
    thread::scope(|scope| {
        scope.spawn(|| scene.locate_until(&first));
        while server.requests().is_empty() {
            thread::sleep(Duration::from_millis(10));
        }
        let second = CancellationToken::new();
        second.cancel();
        let error = scene.locate_until(&second).unwrap_err();
        assert!(matches!(error, PublishedWeightsError::Cancelled));
        first.cancel();
    });
}

#[test]
fn a_damaged_file_is_named_and_left_to_the_user() {
    let server = serving_the_file();
    let scene = Scene::of(&server);
    scene.located();
    let mut damaged = content();
    damaged[123_456] ^= 1;
    fs::write(scene.path(), &damaged).unwrap();
    let error = scene.locate().unwrap_err();
    let text = error.to_string();
    assert!(error.is_users());
    assert!(
        text.starts_with(&format!("{} is damaged", scene.path().display()))
            && text.contains("delete it"),
        "{text}"
    );
    assert!(fs::read(scene.path()).unwrap() == damaged);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let server = serving_the_file();
    let scene = Scene::of(&server);
    fs::write(scene.folder.path().join("weights"), "a file").unwrap();
    let error = scene.locate().unwrap_err();
    assert!(!error.is_users());
    let text = error.to_string();
    assert!(
        text.starts_with("cannot create ") && text.contains("XDG_CACHE_HOME"),
        "{text}"
    );
}

/// All numbers of a network.
fn numbers(network: &Conv4<burn_flex::Flex>) -> Vec<f32> {
    let tensors = network.collect(None, None, false).into_iter();
    let values = tensors.flat_map(|tensor| tensor.to_data().unwrap().into_vec::<f32>().unwrap());
    values.collect()
}

/// Writes a file of numbers of its own for `network`, in PyTorch's order of axes.
fn write_weights(path: &Path, network: &Conv4<burn_flex::Flex>) {
    let tensors = network.collect(None, None, false).into_iter();
    let drawn = tensors.map(|tensor| {
        let shape = match tensor.shape.to_vec()[..] {
            [rows, columns, input, output] => vec![output, input, rows, columns],
            ref shape => shape.to_vec(),
        };
        let count = shape.iter().product::<usize>();
        let wave = (0..count).flat_map(|i| ((i as f32 * 1.3).sin()).to_le_bytes());
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
fn an_embedder_starts_from_the_file_that_was_downloaded() {
    let device = Default::default();
    let folder = TempDir::new().unwrap();
    let original = folder.path().join("original.safetensors");
    let network = Conv4::new(ConvAlgorithm::default(), &device);
    write_weights(&original, &network);
    let bytes = fs::read(&original).unwrap();
    let served = bytes.clone();
    let server = Server::start(move |_, request| Answer::file(&served, request));
    let mut scene = Scene::of(&server);
    scene.file = published("conv4.safetensors", &bytes);

    let config = EmbedderConfig {
        weights: Some(WeightsSource::File(scene.locate().unwrap())),
        ..EmbedderConfig::from(&ModelConfig::default())
    };
    let embedder = config.init_pretrained(&device).unwrap();
    let BackboneNetwork::Conv4(found) = embedder.backbone else {
        panic!("conv4 is the default");
    };
    let expected = load_weights(network, &original).unwrap();
    assert_eq!(numbers(&found), numbers(&expected));
}

#[test]
fn files_of_the_users_are_checked_before_they_are_read() {
    let locate = |path: &str| {
        locate(
            Backbone::Conv4,
            &path.into(),
            &CancellationToken::new(),
            &NoProgress,
        )
        .unwrap_err()
    };
    let absent = locate("absent.pth");
    assert!(matches!(absent, WeightsError::NotFound { .. }));
    let misspelt = locate("imagenet_v2");
    assert!(matches!(misspelt, WeightsError::UnknownFormat { .. }));
    assert!(misspelt.to_string().contains("or imagenet"), "{misspelt}");
}
