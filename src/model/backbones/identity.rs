//! No backbone: the input has the features already.

use std::marker::PhantomData;

use burn::{module::Module, tensor::backend::Backend};

use crate::model::execution::{Executor, Stages};
use crate::model::layers::ConvAlgorithm;

/// A network without layers.
#[derive(Module, Debug)]
pub struct Identity<B: Backend> {
    #[module(skip)]
    algorithm: ConvAlgorithm,
    backend: PhantomData<B>,
}

impl<B: Backend> Identity<B> {
    pub(super) fn new(algorithm: ConvAlgorithm) -> Self {
        Self {
            algorithm,
            backend: PhantomData,
        }
    }
}

impl<B: Backend> Stages<B> for Identity<B> {
    fn count(&self) -> usize {
        1
    }

    fn algorithm(&self) -> ConvAlgorithm {
        self.algorithm
    }

    fn stage<'m, E: Executor<'m, B>>(&'m self, _: usize, x: E::Map, _: &mut E) -> E::Map {
        x
    }
}
