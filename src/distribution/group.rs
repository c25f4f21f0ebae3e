//! A group of processes, and what they exchange.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::share;

/// Exchanges data between the processes of a group. Every process calls the same methods in the same order; a call
/// returns when all have made it. A failure of another process ends this one, so no method returns an error.
pub trait Exchange: Send + Sync {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// Returns the machine of process `rank`.
    fn host(&self, rank: usize) -> String;

    /// Returns the bytes of every process, in their order. Their lengths may differ.
    fn gather(&self, own: &[u8]) -> Vec<Vec<u8>>;

    /// Replaces the values by their sums over all processes, which are the same bits in all of them.
    fn sum(&self, values: &mut [f32]);

    /// Returns the bytes of process 0, whatever the others pass.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;
}

/// The processes that train together. Clones are of the same group.
#[derive(Clone, Default)]
pub struct ProcessGroup(Option<Arc<dyn Exchange>>);

impl ProcessGroup {
    /// The group of this process alone.
    pub fn single() -> Self {
        Self::default()
    }

    /// The group of the processes that `exchange` connects.
    pub fn new(exchange: Arc<dyn Exchange>) -> Self {
        Self((exchange.size() > 1).then_some(exchange))
    }

    /// Whether this process is alone.
    pub fn is_single(&self) -> bool {
        self.0.is_none()
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |exchange| exchange.rank())
    }

    /// The number of processes.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |exchange| exchange.size())
    }

    /// Whether this is process 0, which writes the run folder and reports.
    pub fn is_main(&self) -> bool {
        self.rank() == 0
    }

    /// Returns the name of process `rank` for a message.
    pub fn name(&self, rank: usize) -> String {
        match &self.0 {
            Some(exchange) => format!("process {rank} on {}", exchange.host(rank)),
            None => format!("process {rank}"),
        }
    }

    /// The part of `count` items that this process computes.
    pub fn share(&self, count: usize) -> Range<usize> {
        share(count, self.rank(), self.size())
    }

    /// Returns the bytes of every process, in their order.
    pub fn gather(&self, own: &[u8]) -> Vec<Vec<u8>> {
        match &self.0 {
            Some(exchange) => exchange.gather(own),
            None => vec![own.to_vec()],
        }
    }

    /// Returns the numbers of all processes, one process after the other.
    pub fn gather_floats(&self, own: Vec<f32>) -> Vec<f32> {
        let Some(exchange) = &self.0 else {
            return own;
        };
        let own: Vec<u8> = own.into_iter().flat_map(f32::to_le_bytes).collect();
        let all = exchange.gather(&own).concat();
        let (numbers, _) = all.as_chunks();
        numbers.iter().copied().map(f32::from_le_bytes).collect()
    }

    /// Returns the numbers of all processes, one process after the other.
    pub fn gather_indices(&self, own: Vec<usize>) -> Vec<usize> {
        let Some(exchange) = &self.0 else {
            return own;
        };
        let own = own.into_iter().map(|number| number as u64);
        let own: Vec<u8> = own.flat_map(u64::to_le_bytes).collect();
        let all = exchange.gather(&own).concat();
        let (numbers, _) = all.as_chunks();
        let numbers = numbers.iter().copied().map(u64::from_le_bytes);
        numbers.map(|number| number as usize).collect()
    }

    /// Replaces the values by their sums over all processes.
    pub fn sum(&self, values: &mut [f32]) {
        if let Some(exchange) = &self.0 {
            exchange.sum(values);
        }
    }

    /// Returns the bytes of process 0.
    pub fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        match &self.0 {
            Some(exchange) => exchange.broadcast(bytes),
            None => bytes,
        }
    }

    /// Whether `own` is true in any process.
    pub fn any(&self, own: bool) -> bool {
        let Some(exchange) = &self.0 else {
            return own;
        };
        let mut count = [f32::from(u8::from(own))];
        exchange.sum(&mut count);
        count[0] > 0.0
    }
}

impl fmt::Debug for ProcessGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessGroup({} of {})", self.rank(), self.size())
    }
}

#[cfg(test)]
mod tests {
    use super::super::threads::run;
    use super::*;

    #[test]
    fn single_process_exchanges_nothing() {
        let group = ProcessGroup::single();
        assert_eq!((group.rank(), group.size(), group.is_main()), (0, 1, true));
        assert_eq!(group.share(5), 0..5);
        assert_eq!(group.gather(b"a"), [b"a"]);
        assert_eq!(group.gather_floats(vec![f32::MAX]), [f32::MAX]);
        assert_eq!(group.gather_indices(vec![usize::MAX]), [usize::MAX]);
        assert_eq!(group.broadcast(vec![1]), [1]);
        assert!(group.any(true) && !group.any(false));
    }

    #[test]
    fn processes_exchange_what_they_have() {
        for size in [2, 3, 5] {
            let results = run(size, |group| {
                let rank = group.rank();
                // Process r has r bytes, and process 0 has none.
                let bytes = group.gather(&vec![rank as u8; rank]);
                let floats = group.gather_floats(vec![rank as f32 + 0.5; rank]);
                let indices = group.gather_indices(vec![rank]);
                let mut sums = vec![rank as f32, 1.0];
                group.sum(&mut sums);
                let sent = group.broadcast(vec![rank as u8; 3]);
                let any = [group.any(rank == 1), group.any(false)];
                (bytes, floats, indices, sums, sent, any)
            });
            for (bytes, floats, indices, sums, sent, any) in results {
                let expected: Vec<Vec<u8>> = (0..size).map(|r| vec![r as u8; r]).collect();
                assert_eq!(bytes, expected);
                assert_eq!(floats.len(), size * (size - 1) / 2);
                assert_eq!(
                    (floats[0], *floats.last().unwrap()),
                    (1.5, size as f32 - 0.5)
                );
                assert_eq!(indices, (0..size).collect::<Vec<_>>());
                assert_eq!(sums, [(size * (size - 1) / 2) as f32, size as f32]);
                assert_eq!((sent, any), (vec![0; 3], [true, false]));
            }
        }
    }
}
