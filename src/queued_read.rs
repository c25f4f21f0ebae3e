//! Reads from a device that are queued now and awaited later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use burn::tensor::{Tensor, backend::Backend, read_sync};

/// A read from a device. The copy to the host is queued behind the work that computes the values, and awaited after
/// more work is queued, so that the device always has work. On a processor the values are there at once.
///
/// Start it and wait for it in the thread that computed the tensors: fused backends read no others (docs/burn-0.21.md).
pub(crate) struct QueuedRead<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T: Send + 'static> QueuedRead<T> {
    /// Queues the copy: polls `read` once.
    pub(crate) fn start(read: impl Future<Output = T> + Send + 'static) -> Self {
        let mut read: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(read);
        match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(values) => Self(Box::pin(std::future::ready(values))),
            Poll::Pending => Self(read),
        }
    }

    /// Waits for the values.
    pub(crate) fn wait(self) -> T {
        read_sync(self.0)
    }
}

/// Queues the read of the values of a tensor, row by row.
pub(crate) fn read_values<B: Backend, const D: usize>(
    tensor: Tensor<B, D>,
) -> QueuedRead<Vec<f32>> {
    QueuedRead::start(async {
        let data = tensor.into_data_async().await;
        let values = data.expect("the tensor was computed").convert::<f32>();
        values.into_vec().expect("just converted")
    })
}

impl<T> fmt::Debug for QueuedRead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueuedRead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_returned_whether_they_are_ready_or_not() {
        let tensor = Tensor::<burn_flex::Flex, 1>::from_floats([1.0, 2.0], &Default::default());
        assert_eq!(read_values(tensor).wait(), [1.0, 2.0]);

        let mut polls = 0;
        let read = QueuedRead::start(std::future::poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            match polls {
                1 => Poll::Pending,
                polls => Poll::Ready(polls),
            }
        }));
        assert_eq!(read.wait(), 2);
    }
}
