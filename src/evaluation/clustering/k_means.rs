//! k-means (Lloyd's algorithm).

use burn::tensor::{Tensor, backend::Backend};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::assignment::Rows;
use super::seeding::{self, Seeding};
use crate::cancellation::Cancelled;
use crate::evaluation::vectors::{Vectors, row, squared_distance};
use crate::progress::{Monitor, Task, Unit};

/// k-means of embeddings.
///
/// A cluster that becomes empty gets the row that is farthest from its centre. Clusters stay empty if fewer
/// rows than clusters are different.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KMeans {
    /// Number of clusters, at least 1; at most as many as embeddings are used.
    pub clusters: usize,
    /// The most iterations; at least one is made.
    pub iterations: usize,
    /// How often it is repeated with other first centres; the result with the least inertia is returned. At
    /// least 1.
    pub restarts: usize,
    /// The seed of the first centres.
    pub seed: u64,
}

/// A division of embeddings into clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// The cluster of each embedding.
    pub clusters: Vec<usize>,
    /// The sum of the squared distances of the embeddings to the mean of their cluster.
    pub inertia: f64,
    /// Iterations of the best repetition.
    pub iterations: usize,
    /// Whether the last iteration of the best repetition moved no embedding to another cluster.
    pub converged: bool,
}

impl KMeans {
    /// Divides the rows of `embeddings`, `[N, D]`, which are finite. Reports its iterations as the task
    /// `clustering`. The same seed gives the same result on the same machine.
    ///
    /// # Errors
    /// If a stop was requested.
    pub fn run<B: Backend>(
        &self,
        embeddings: Tensor<B, 2>,
        monitor: Monitor<'_>,
    ) -> Result<Clustering, Cancelled> {
        let [count, dim] = embeddings.dims();
        let device = embeddings.device();
        if count == 0 {
            return Ok(Clustering {
                clusters: Vec::new(),
                inertia: 0.0,
                iterations: 0,
                converged: true,
            });
        }
        let values = embeddings.into_data().convert::<f32>();
        let vectors = Vectors::new(values.into_vec().expect("they are f32"), dim);
        let rows = vectors.all_moved();
        let on_device = Rows::<B>::new(rows, dim, &device);
        let steps = self.restarts.max(1) * self.iterations.max(1);
        let task = monitor.task("clustering", Some(steps), Unit::Iterations);
        let mut best: Option<Clustering> = None;
        for restart in 0..self.restarts.max(1) {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(restart as u64);
            let lloyd = Lloyd {
                rows,
                dim,
                on_device: &on_device,
                task: &task,
            };
            let clusters = self.clusters.clamp(1, count);
            let seeds = seeding::draw(rows, dim, clusters, &on_device, &mut random, &task)?;
            let clustering = lloyd.run(seeds, self.iterations.max(1))?;
            if best
                .as_ref()
                .is_none_or(|best| clustering.inertia < best.inertia)
            {
                best = Some(clustering);
            }
        }
        task.finish();
        let mut best = best.expect("it ran at least once");
        best.inertia /= vectors.squared_scale();
        Ok(best)
    }
}

struct Lloyd<'a, B: Backend> {
    rows: &'a [f32],
    dim: usize,
    on_device: &'a Rows<'a, B>,
    task: &'a Task<'a>,
}

impl<B: Backend> Lloyd<'_, B> {
    fn run(&self, seeding: Seeding, most: usize) -> Result<Clustering, Cancelled> {
        let seeds = seeding.rows.iter();
        let seeds = seeds.flat_map(|&seed| row(self.rows, self.dim, seed));
        let mut centres: Vec<f32> = seeds.copied().collect();
        let mut clusters: Vec<usize> = Vec::new();
        // The first iteration divides the rows among the seeds.
        let mut first = Some(seeding.nearest);
        let (mut iterations, mut converged) = (0, false);
        while iterations < most && !converged {
            let assigned = match first.take() {
                Some(nearest) => nearest,
                None => {
                    let check = || self.task.check();
                    self.on_device.assign(&centres, self.dim, check)?
                }
            };
            iterations += 1;
            self.task.advance(1)?;
            converged = assigned == clusters;
            clusters = assigned;
            if !converged {
                self.update(&mut centres, &mut clusters);
            }
        }
        self.task.advance(most - iterations)?;
        let distances = self.distances(&centres, &clusters);
        Ok(Clustering {
            inertia: distances.iter().sum(),
            clusters,
            iterations,
            converged,
        })
    }

    /// Replaces the centres by the means of their clusters, and moves the rows that are farthest from their
    /// centres to empty clusters.
    fn update(&self, centres: &mut [f32], clusters: &mut [usize]) {
        let mut sizes = vec![0_usize; centres.len() / self.dim];
        for &cluster in clusters.iter() {
            sizes[cluster] += 1;
        }
        let empty: Vec<usize> = (0..sizes.len()).filter(|&k| sizes[k] == 0).collect();
        if !empty.is_empty() {
            let distances = self.distances(centres, clusters);
            let mut farthest: Vec<usize> = (0..clusters.len()).collect();
            farthest.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
            let mut farthest = farthest.into_iter().filter(|&row| distances[row] > 0.0);
            for cluster in empty {
                // The last row of a cluster stays.
                let Some(row) = farthest.find(|&row| sizes[clusters[row]] > 1) else {
                    break;
                };
                sizes[clusters[row]] -= 1;
                sizes[cluster] = 1;
                clusters[row] = cluster;
            }
        }
        self.means(centres, clusters, &sizes);
    }

    /// Computes the mean of each cluster in `f64`. The centre of an empty one stays.
    fn means(&self, centres: &mut [f32], clusters: &[usize], sizes: &[usize]) {
        let mut starts: Vec<usize> = sizes
            .iter()
            .scan(0, |start, size| {
                *start += size;
                Some(*start - size)
            })
            .collect();
        let firsts = starts.clone();
        let mut members = vec![0; clusters.len()];
        for (row, &cluster) in clusters.iter().enumerate() {
            members[starts[cluster]] = row;
            starts[cluster] += 1;
        }
        let centres = centres.par_chunks_mut(self.dim).zip(sizes).zip(&firsts);
        centres.for_each(|((centre, &size), &first)| {
            let mut sums = vec![0.0_f64; self.dim];
            for &member in &members[first..first + size] {
                for (sum, &x) in sums.iter_mut().zip(row(self.rows, self.dim, member)) {
                    *sum += f64::from(x);
                }
            }
            if size > 0 {
                for (x, sum) in centre.iter_mut().zip(sums) {
                    *x = (sum / size as f64) as f32;
                }
            }
        });
    }

    /// The squared distance of each row to the centre of its cluster.
    fn distances(&self, centres: &[f32], clusters: &[usize]) -> Vec<f64> {
        let rows = self.rows.par_chunks(self.dim).zip(clusters);
        rows.map(|(values, &cluster)| squared_distance(values, row(centres, self.dim, cluster)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use burn_flex::Flex;

    use super::*;

    #[test]
    fn an_empty_cluster_gets_the_farthest_point() {
        let rows = [0.0, 0.1, 0.2, 1.0, 0.9];
        let on_device = Rows::<Flex>::new(&rows, 1, &Default::default());
        let task = Monitor::none().task("clustering", None, Unit::Iterations);
        let lloyd = Lloyd {
            rows: &rows,
            dim: 1,
            on_device: &on_device,
            task: &task,
        };
        // The first centre wins all points, the second none.
        let seeding = Seeding {
            rows: vec![0, 0],
            nearest: vec![0; 5],
        };
        let clustering = lloyd.run(seeding, 10).unwrap();
        assert_eq!(clustering.clusters, [0, 0, 0, 1, 1]);
        assert!((clustering.inertia - (0.02 + 0.005)).abs() < 1e-6);
        assert!(clustering.converged);
    }
}
