//! An HTTP server of one file on this machine, with configurable failures.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    /// The first requested byte, if the request has a range.
    pub(super) from: Option<usize>,
}

/// The server's response to a request.
pub(super) struct Answer {
    /// The bytes that are sent.
    pub(super) bytes: Vec<u8>,
    /// How long the connection stays open afterwards.
    pub(super) silence: Duration,
}

impl Answer {
    /// A response with `status`, `headers`, the length of the body, and `body`.
    pub(super) fn new(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        Self {
            bytes: [head.as_bytes(), body].concat(),
            silence: Duration::ZERO,
        }
    }

    /// The file from the requested byte.
    pub(super) fn file(content: &[u8], request: &Request) -> Self {
        match request.from {
            None => Self::new("200 OK", "", content),
            Some(from) => {
                let (last, length) = (content.len() - 1, content.len());
                let range = format!("Content-Range: bytes {from}-{last}/{length}\r\n");
                Self::new("206 Partial Content", &range, &content[from..])
            }
        }
    }

    /// Removes the last `missing` bytes.
    pub(super) fn truncated(mut self, missing: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - missing);
        self
    }

    /// Keeps the connection open.
    pub(super) fn then_hang(self) -> Self {
        // Longer than any test waits.
        let silence = Duration::from_secs(20);
        Self { silence, ..self }
    }
}

/// The server, which runs until the process ends.
pub(super) struct Server {
    pub(super) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server that responds with `answer`, a function of the number of earlier requests and of
    /// the request.
    pub(super) fn start(
        answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/files", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (seen.clone(), answer.clone());
                thread::spawn(move || serve(stream.unwrap(), &seen, &*answer));
            }
        });
        Self { address, requests }
    }

    /// The requests so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &dyn Fn(usize, &Request) -> Answer,
) {
    let Some(request) = read(&stream) else {
        return;
    };
    let before = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let answer = answer(before, &request);
    // The client may have closed the connection.
    let _ = stream.write_all(&answer.bytes);
    thread::sleep(answer.silence);
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_string();
    let mut from = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some(range) = line.to_lowercase().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().ok();
        }
    }
    Some(Request { path, from })
}
