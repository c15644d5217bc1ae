//! Packed batches: the tokens of all sequences end to end, without padding.

use std::sync::Arc;

use burn::tensor::backend::Backend;
use burn::tensor::ops::{BoolTensor, IntTensor};
use burn::tensor::{Bool, Int, Tensor, TensorData};

/// A batch on the host: `input_ids`, `token_type_ids` of all tokens, and how many each sequence has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedSequences {
    /// The word ids of all tokens, sequence after sequence.
    pub input_ids: Vec<u32>,
    /// Token type 0 or 1, one a token.
    pub token_type_ids: Vec<u8>,
    /// The number of tokens of each sequence, none of them 0.
    pub lengths: Vec<usize>,
}

impl PackedSequences {
    /// Appends one sequence. Whether a model can take it, [`BertConfig::check_sequence`] says.
    ///
    /// # Panics
    /// Where the sequence is empty, or has not a token type for each token.
    ///
    /// [`BertConfig::check_sequence`]: crate::config::BertConfig::check_sequence
    pub fn push(&mut self, input_ids: &[u32], token_type_ids: &[u8]) {
        assert!(!input_ids.is_empty(), "a sequence has at least one token");
        assert_eq!(
            input_ids.len(),
            token_type_ids.len(),
            "a token type for each token"
        );
        self.input_ids.extend_from_slice(input_ids);
        self.token_type_ids.extend_from_slice(token_type_ids);
        self.lengths.push(input_ids.len());
    }

    /// The number of tokens.
    pub fn tokens(&self) -> usize {
        self.input_ids.len()
    }

    /// The batch on a device.
    pub fn to_device<B: Backend>(&self, device: &B::Device) -> PackedBatch<B> {
        let positions = self.lengths.iter().flat_map(|&length| 0..length as i64);
        let sequences = Sequences::new(&self.lengths, device);
        PackedBatch {
            input_ids: ids(self.input_ids.iter().map(|&id| i64::from(id)), device),
            position_ids: ids(positions, device),
            token_type_ids: ids(self.token_type_ids.iter().map(|&id| i64::from(id)), device),
            first_tokens: ids(sequences.starts().map(|row| row as i64), device),
            sequences,
        }
    }
}

/// Integers of the host as a tensor.
pub fn ids<B: Backend>(values: impl Iterator<Item = i64>, device: &B::Device) -> Tensor<B, 1, Int> {
    let values: Vec<i64> = values.collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

/// A batch on a device; every tensor is `[tokens]` but `first_tokens`.
#[derive(Debug, Clone)]
pub struct PackedBatch<B: Backend> {
    /// Word ids.
    pub input_ids: Tensor<B, 1, Int>,
    /// Positions, from 0 in every sequence.
    pub position_ids: Tensor<B, 1, Int>,
    /// Token types.
    pub token_type_ids: Tensor<B, 1, Int>,
    /// The row of each sequence's `[CLS]`, `[sequences]`.
    pub first_tokens: Tensor<B, 1, Int>,
    /// Where sequences begin and end.
    pub sequences: Sequences<B>,
}

/// Some tokens of a packed batch: those whose states are wanted of the last layer. The others need not be computed there.
#[derive(Debug, Clone)]
pub struct Selection<B: Backend> {
    host: Vec<usize>,
    /// Their rows, ascending, `[n]`.
    pub rows: Tensor<B, 1, Int>,
    /// How many each sequence has.
    pub sequences: Sequences<B>,
}

impl<B: Backend> Selection<B> {
    /// Of the sequences `of`, the given rows, in any order and as often as one likes; at least one.
    pub fn new(
        rows: impl IntoIterator<Item = usize>,
        of: &Sequences<B>,
        device: &B::Device,
    ) -> Self {
        let mut host: Vec<usize> = rows.into_iter().collect();
        host.sort_unstable();
        host.dedup();
        let mut rest = host.as_slice();
        let mut end = 0;
        let counts: Vec<usize> = (of.lengths.iter())
            .map(|length| {
                end += length;
                let count = rest.partition_point(|&row| row < end);
                rest = &rest[count..];
                count
            })
            .collect();
        Self {
            rows: ids(host.iter().map(|&row| row as i64), device),
            sequences: Sequences::new(&counts, device),
            host,
        }
    }

    /// Where selected rows stand among the selected.
    ///
    /// # Panics
    /// Where a row is not selected.
    pub fn places(
        &self,
        rows: impl IntoIterator<Item = usize>,
        device: &B::Device,
    ) -> Tensor<B, 1, Int> {
        let place = |row| match self.host.binary_search(&row) {
            Ok(place) => place as i64,
            Err(_) => panic!("row {row} is not selected"),
        };
        ids(rows.into_iter().map(place), device)
    }
}

/// Where the sequences of a packed batch begin and end, and the way into a rectangle and back.
#[derive(Debug, Clone)]
pub struct Sequences<B: Backend> {
    lengths: Arc<[usize]>,
    width: usize,
    /// `None` where all sequences are as long as it is wide: the packed batch is the rectangle then.
    rectangle: Option<Rectangle<B>>,
}

#[derive(Debug, Clone)]
struct Rectangle<B: Backend> {
    /// The packed row of each cell `[sequences * width]`; cells beyond the end repeat row 0.
    pack_rows: IntTensor<B>,
    /// The cell of each packed row `[tokens]`.
    cells: IntTensor<B>,
    /// True where a cell lies beyond its sequence's end, `[sequences, width]`.
    beyond_end: BoolTensor<B>,
}

/// The width of a rectangle for sequences of at most so many tokens. It takes few values: a GPU's runtime compiles and
/// times kernels for every new kind of shape, and shapes that are multiples of 32 are of one kind up to the next power
/// of two. Few tokens, such as the choices of a question, stay as they are.
fn rectangle_width(longest: usize) -> usize {
    longest.next_multiple_of(match longest {
        0..8 => 1,
        8..=32 => 8,
        _ => 32,
    })
}

impl<B: Backend> Sequences<B> {
    /// From the number of tokens of each sequence.
    pub fn new(lengths: &[usize], device: &B::Device) -> Self {
        let width = rectangle_width(lengths.iter().copied().max().unwrap_or(0));
        let rectangle = lengths.iter().any(|&length| length != width).then(|| {
            let mut pack_rows = Vec::with_capacity(lengths.len() * width);
            let mut beyond_end = Vec::with_capacity(lengths.len() * width);
            let mut cells = Vec::new();
            for &length in lengths {
                for position in 0..width {
                    let inside = position < length;
                    beyond_end.push(!inside);
                    if inside {
                        cells.push(pack_rows.len() as i64);
                        pack_rows.push(cells.len() as i64 - 1);
                    } else {
                        pack_rows.push(0);
                    }
                }
            }
            let beyond_end = TensorData::new(beyond_end, [lengths.len(), width]);
            Rectangle {
                pack_rows: ids::<B>(pack_rows.into_iter(), device).into_primitive(),
                cells: ids::<B>(cells.into_iter(), device).into_primitive(),
                beyond_end: Tensor::<B, 2, Bool>::from_data(beyond_end, device).into_primitive(),
            }
        });
        Self {
            lengths: lengths.into(),
            width,
            rectangle,
        }
    }

    /// The number of sequences.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// The cells of a sequence in the rectangle: no fewer than the longest has tokens.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number of tokens of each sequence.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// The row of each sequence's first token.
    pub fn starts(&self) -> impl Iterator<Item = usize> {
        self.lengths.iter().scan(0, |next, length| {
            let start = *next;
            *next += length;
            Some(start)
        })
    }

    /// True where a cell of the rectangle lies beyond its sequence's end, `[sequences, width]`; `None` where none does.
    pub(crate) fn beyond_end(&self) -> Option<BoolTensor<B>> {
        self.rectangle.as_ref().map(|r| r.beyond_end.clone())
    }

    /// `[tokens, features] -> [sequences * width, features]`; cells beyond the end hold finite values of no meaning.
    pub(crate) fn enter_rectangle(&self, packed: Tensor<B, 2>) -> Tensor<B, 2> {
        match &self.rectangle {
            Some(r) => packed.select(0, Tensor::from_primitive(r.pack_rows.clone())),
            None => packed,
        }
    }

    /// `[sequences * width, features] -> [tokens, features]`.
    pub(crate) fn leave_rectangle(&self, cells: Tensor<B, 2>) -> Tensor<B, 2> {
        match &self.rectangle {
            Some(r) => cells.select(0, Tensor::from_primitive(r.cells.clone())),
            None => cells,
        }
    }

    /// The same for the backend inside `Autodiff`, whose integer and boolean tensors are the same type.
    pub(crate) fn inner<I>(self) -> Sequences<I>
    where
        I: Backend<
                IntTensorPrimitive = B::IntTensorPrimitive,
                BoolTensorPrimitive = B::BoolTensorPrimitive,
            >,
    {
        Sequences {
            lengths: self.lengths,
            width: self.width,
            rectangle: self.rectangle.map(|r| Rectangle {
                pack_rows: r.pack_rows,
                cells: r.cells,
                beyond_end: r.beyond_end,
            }),
        }
    }
}
