//! HTTP transfers of files, whole or from a given byte.

use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use ureq::http::Response;
use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::{Agent, Body, Proxy};

use crate::cancellation::CancellationToken;

/// Bytes per chunk.
const CHUNK: usize = 64 * 1024;
/// Received chunks in the queue.
const QUEUED_CHUNKS: usize = 16;
/// Interval between checks for cancellation.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The HTTP client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// Timeout for resolving the server's name, for connecting, and for each wait for data.
    pub(super) timeout: Duration,
    /// The proxy; [`Proxy::try_from_env`] is the user's.
    pub(super) proxy: Option<Proxy>,
}

/// Why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    #[error("the server answers with status {0}")]
    Status(u16),
    #[error("no data for {} s", .0.as_secs_f32())]
    Timeout(Duration),
    #[error("{0}")]
    Network(String),
    #[error("the connection closed before the end of the file")]
    Incomplete,
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error("interrupted")]
    Cancelled,
}

/// A transfer in progress. A thread receives the data; it ends within the client's timeout after the
/// transfer is dropped.
pub(super) struct Transfer {
    /// The first byte of the file in the transfer: the requested one, or 0.
    pub(super) start: u64,
    /// The length of the whole file in bytes, if the server sends it.
    pub(super) length: Option<u64>,
    /// The position of the next chunk in the file.
    position: u64,
    chunks: Receiver<Result<Vec<u8>, TransferError>>,
}

impl Client {
    /// Requests the file at `address` from byte `have`. A server without support for ranges sends the
    /// whole file.
    ///
    /// # Errors
    /// If the server cannot be reached or does not send the file.
    pub(super) fn open(
        &self,
        address: &str,
        have: u64,
        cancellation: &CancellationToken,
    ) -> Result<Transfer, TransferError> {
        let (head_sender, head) = sync_channel(1);
        let (sender, chunks) = sync_channel(QUEUED_CHUNKS);
        let (client, address) = (self.clone(), address.to_string());
        let receive = move || match client.request(&address, have) {
            Ok((head, body)) => {
                if head_sender.send(Ok(head)).is_ok() {
                    client.receive(body, &sender);
                }
            }
            Err(error) => drop(head_sender.send(Err(error))),
        };
        thread::Builder::new()
            .spawn(receive)
            .map_err(TransferError::Thread)?;
        let head = wait(&head, cancellation)?.unwrap_or(Err(TransferError::Incomplete))?;
        Ok(Transfer {
            start: head.start,
            length: head.length,
            position: head.start,
            chunks,
        })
    }

    fn request(&self, address: &str, have: u64) -> Result<(Head, Body), TransferError> {
        let mut request = self.agent().get(address);
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        let response = request.call().map_err(|error| self.error(error))?;
        let head = match response.status().as_u16() {
            200 => Head {
                start: 0,
                length: response.body().content_length(),
            },
            206 if have > 0 => match Head::from_content_range(&response) {
                Some(head) if head.start == have => head,
                _ => return self.request(address, 0),
            },
            // The partial download is not a beginning of the file.
            416 if have > 0 => return self.request(address, 0),
            status => return Err(TransferError::Status(status)),
        };
        Ok((head, response.into_body()))
    }

    fn agent(&self) -> Agent {
        let timeout = Some(self.timeout);
        Agent::config_builder()
            .user_agent(concat!("loop-dml/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .proxy(self.proxy.clone())
            .timeout_resolve(timeout)
            .timeout_connect(timeout)
            .timeout_recv_response(timeout)
            .timeout_per_read(timeout)
            .build()
            .into()
    }

    /// Sends the body in chunks until its end, or until the receiver is dropped.
    fn receive(&self, body: Body, sender: &SyncSender<Result<Vec<u8>, TransferError>>) {
        let mut reader = body.into_reader();
        loop {
            let mut chunk = vec![0; CHUNK];
            let received = match reader.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => {
                    chunk.truncate(count);
                    Ok(chunk)
                }
                Err(error) => Err(self.error(error.into())),
            };
            let failed = received.is_err();
            if sender.send(received).is_err() || failed {
                return;
            }
        }
    }

    fn error(&self, error: ureq::Error) -> TransferError {
        match error {
            ureq::Error::Timeout(_) => TransferError::Timeout(self.timeout),
            ureq::Error::Io(error) => TransferError::Network(error.to_string()),
            error => TransferError::Network(error.to_string()),
        }
    }
}

impl Transfer {
    /// The next chunk; `None` after the last.
    ///
    /// # Errors
    /// If the connection fails, times out, or closes before the end of the file.
    pub(super) fn next(
        &mut self,
        cancellation: &CancellationToken,
    ) -> Result<Option<Vec<u8>>, TransferError> {
        match wait(&self.chunks, cancellation)? {
            Some(chunk) => {
                let chunk = chunk?;
                self.position += chunk.len() as u64;
                Ok(Some(chunk))
            }
            None if self.length.is_some_and(|length| self.position < length) => {
                Err(TransferError::Incomplete)
            }
            None => Ok(None),
        }
    }
}

/// The facts in a response's headers.
struct Head {
    start: u64,
    length: Option<u64>,
}

impl Head {
    /// Those of a partial response: `Content-Range: bytes START-END/LENGTH`, LENGTH possibly `*`.
    fn from_content_range(response: &Response<Body>) -> Option<Self> {
        let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
        let (range, length) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (start, _) = range.split_once('-')?;
        Some(Self {
            start: start.trim().parse().ok()?,
            length: length.trim().parse().ok(),
        })
    }
}

/// The next message; `None` if the sender is dropped.
fn wait<T>(
    messages: &Receiver<T>,
    cancellation: &CancellationToken,
) -> Result<Option<T>, TransferError> {
    loop {
        if cancellation.is_cancelled() {
            return Err(TransferError::Cancelled);
        }
        match messages.recv_timeout(POLL_INTERVAL) {
            Ok(message) => return Ok(Some(message)),
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}
