//! A file by HTTP, whole or from a byte on.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use ureq::http::Response;
use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::{Agent, Body, Proxy};

use crate::cancellation::CancellationToken;

/// Bytes that are handed over at once.
const PIECE: usize = 64 * 1024;
/// Pieces received ahead of the one that is taken.
const PIECES_AHEAD: usize = 16;
/// How often an interruption is looked for.
const PAUSE: Duration = Duration::from_millis(100);

/// How files are asked for.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// How long finding the server, connecting, and each wait for data may take.
    pub(super) patience: Duration,
    /// The proxy to go through; [`Proxy::try_from_env`] is the user's.
    pub(super) proxy: Option<Proxy>,
}

/// Why nothing came, or no more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the server answers with status {0}")]
    Status(u16),
    #[error("nothing came for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    #[error("{0}")]
    Network(String),
    #[error("the connection was closed too early")]
    Incomplete,
    #[error("interrupted")]
    Cancelled,
}

/// A transfer under way. Data is received on a thread, which ends by itself within the client's
/// patience once the transfer is dropped.
pub(super) struct Transfer {
    /// The byte of the file with which it begins: that which was asked for, or 0.
    pub(super) start: u64,
    /// Bytes of the whole file, if the server says.
    pub(super) length: Option<u64>,
    /// Bytes of the file up to the next piece.
    position: u64,
    pieces: Receiver<Result<Vec<u8>, Failure>>,
}

impl Client {
    /// Asks for the file at `address` from byte `have` on. A server that gives only whole files
    /// gives the whole.
    ///
    /// # Errors
    /// When the server is not reached, or does not give the file.
    pub(super) fn open(
        &self,
        address: &str,
        have: u64,
        cancellation: &CancellationToken,
    ) -> Result<Transfer, Failure> {
        let (tell, told) = sync_channel(1);
        let (give, pieces) = sync_channel(PIECES_AHEAD);
        let (client, address) = (self.clone(), address.to_string());
        thread::spawn(move || match client.request(&address, have) {
            Ok((head, body)) => {
                if tell.send(Ok(head)).is_ok() {
                    client.receive(body, &give);
                }
            }
            Err(failure) => drop(tell.send(Err(failure))),
        });
        let head = wait(&told, cancellation)?.unwrap_or(Err(Failure::Incomplete))?;
        Ok(Transfer {
            start: head.start,
            length: head.length,
            position: head.start,
            pieces,
        })
    }

    fn request(&self, address: &str, have: u64) -> Result<(Head, Body), Failure> {
        let mut request = self.agent().get(address);
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        let response = request.call().map_err(|error| self.failure(error))?;
        let head = match response.status().as_u16() {
            200 => Head {
                start: 0,
                length: response.body().content_length(),
            },
            206 if have > 0 => match Head::of_range(&response) {
                Some(head) if head.start == have => head,
                _ => return self.request(address, 0),
            },
            // What is there is no beginning of the file.
            416 if have > 0 => return self.request(address, 0),
            status => return Err(Failure::Status(status)),
        };
        Ok((head, response.into_body()))
    }

    fn agent(&self) -> Agent {
        let patience = Some(self.patience);
        Agent::config_builder()
            .user_agent(concat!("loop-dml/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .proxy(self.proxy.clone())
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience)
            .build()
            .into()
    }

    /// Hands over the body piece by piece, until nobody takes any more.
    fn receive(&self, body: Body, give: &SyncSender<Result<Vec<u8>, Failure>>) {
        let mut reader = body.into_reader();
        loop {
            let mut piece = vec![0; PIECE];
            let received = match reader.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => {
                    piece.truncate(count);
                    Ok(piece)
                }
                Err(error) => Err(self.failure(error.into())),
            };
            let ends = received.is_err();
            if give.send(received).is_err() || ends {
                return;
            }
        }
    }

    fn failure(&self, error: ureq::Error) -> Failure {
        match error {
            ureq::Error::Timeout(_) => Failure::Stalled(self.patience),
            ureq::Error::Io(error) => Failure::Network(error.to_string()),
            error => Failure::Network(error.to_string()),
        }
    }
}

impl Transfer {
    /// The next bytes; none after the last.
    ///
    /// # Errors
    /// When the connection breaks, stalls or ends before the file does.
    pub(super) fn next(
        &mut self,
        cancellation: &CancellationToken,
    ) -> Result<Option<Vec<u8>>, Failure> {
        match wait(&self.pieces, cancellation)? {
            Some(piece) => {
                let piece = piece?;
                self.position += piece.len() as u64;
                Ok(Some(piece))
            }
            None if self.length.is_some_and(|length| self.position < length) => {
                Err(Failure::Incomplete)
            }
            None => Ok(None),
        }
    }
}

/// What a server says before the bytes.
struct Head {
    start: u64,
    length: Option<u64>,
}

impl Head {
    /// That of a partial answer: `Content-Range: bytes START-END/LENGTH`, LENGTH maybe `*`.
    fn of_range(response: &Response<Body>) -> Option<Self> {
        let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
        let (range, length) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (start, _) = range.split_once('-')?;
        Some(Self {
            start: start.trim().parse().ok()?,
            length: length.trim().parse().ok(),
        })
    }
}

/// The next message; none where there will not be any.
fn wait<T>(messages: &Receiver<T>, cancellation: &CancellationToken) -> Result<Option<T>, Failure> {
    loop {
        if cancellation.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        match messages.recv_timeout(PAUSE) {
            Ok(message) => return Ok(Some(message)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
