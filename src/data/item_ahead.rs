//! An iterator that a thread evaluates one item ahead of its consumer.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// What the thread sends: an item, or its panic.
type Sent<T> = Result<T, Box<dyn Any + Send>>;

/// The items of an iterator, in order. A thread computes the next item while the consumer uses the last one.
///
/// Dropping it ends the thread, after the item that it is computing.
pub(super) struct ItemAhead<T> {
    /// `None` after the last item.
    items: Option<Receiver<Sent<T>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> ItemAhead<T> {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system starts no thread. Then returns the iterator too.
    pub(super) fn new<I>(new_thread: thread::Builder, items: I) -> Result<Self, (I, io::Error)>
    where
        I: Iterator<Item = T> + Send + 'static,
    {
        // A computed item waits in the thread until it is taken.
        let (sender, receiver) = sync_channel(0);
        // A thread that does not start would drop the iterator.
        let shared = Arc::new(Mutex::new(Some(items)));
        let own = shared.clone();
        let take = |shared: &Mutex<Option<I>>| {
            let mut items = shared.lock().unwrap_or_else(PoisonError::into_inner);
            items.take()
        };
        let run = move || {
            let Some(mut items) = take(&own) else { return };
            loop {
                let next = catch_unwind(AssertUnwindSafe(|| items.next())).transpose();
                let Some(next) = next else { return };
                let ended = next.is_err();
                if sender.send(next).is_err() || ended {
                    return;
                }
            }
        };
        match new_thread.spawn(run) {
            Ok(thread) => Ok(Self {
                items: Some(receiver),
                thread: Some(thread),
            }),
            Err(error) => Err((take(&shared).expect("no thread has taken it"), error)),
        }
    }
}

impl<T> Iterator for ItemAhead<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self.items.as_ref()?.recv() {
            Ok(Ok(item)) => Some(item),
            Ok(Err(panic)) => {
                self.items = None;
                resume_unwind(panic)
            }
            Err(_) => {
                self.items = None;
                None
            }
        }
    }
}

impl<T> Drop for ItemAhead<T> {
    fn drop(&mut self) {
        // The thread cannot send any more.
        self.items = None;
        if let Some(thread) = self.thread.take() {
            // Its panics are caught.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::data::parallel::refused_thread;

    fn ahead<T: Send + 'static>(items: impl Iterator<Item = T> + Send + 'static) -> ItemAhead<T> {
        match ItemAhead::new(thread::Builder::new(), items) {
            Ok(ahead) => ahead,
            Err(_) => panic!("no thread starts"),
        }
    }

    #[test]
    fn items_are_in_order_and_end() {
        let mut items = ahead(0..100);
        assert_eq!(
            items.by_ref().collect::<Vec<_>>(),
            (0..100).collect::<Vec<_>>()
        );
        assert_eq!(items.next(), None);
        assert_eq!(ahead(0..0).next(), None);
    }

    #[test]
    fn one_item_is_computed_ahead() {
        let computed = Arc::new(AtomicUsize::new(0));
        let counter = computed.clone();
        let mut items = ahead((0..10).inspect(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        }));
        for taken in 1..5 {
            items.next();
            thread::sleep(Duration::from_millis(20));
            assert_eq!(computed.load(Ordering::SeqCst), taken + 1);
        }
    }

    #[test]
    fn dropping_early_ends_the_thread() {
        let held = Arc::new(());
        let copy = held.clone();
        let mut items = ahead((0..10).map(move |_| copy.clone()));
        items.next();
        drop(items);
        assert_eq!(
            Arc::strong_count(&held),
            1,
            "the thread still holds the iterator"
        );
    }

    #[test]
    #[should_panic(expected = "item 3")]
    fn a_panic_is_resumed_in_the_consumer() {
        ahead((0..5).inspect(|&i| assert!(i != 3, "item {i}"))).for_each(drop);
    }

    #[test]
    fn the_iterator_is_returned_if_no_thread_starts() {
        let refused = ItemAhead::new(refused_thread(), 0..3);
        let Err((items, _)) = refused else {
            panic!("the thread starts")
        };
        assert_eq!(items.collect::<Vec<_>>(), [0, 1, 2]);
    }
}
