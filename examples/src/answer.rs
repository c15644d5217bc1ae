//! The part of a passage that answers a question. `bert-finetune predict` also reads passages longer than the model.

use crate::{encode, on_cpu};
use bert_core::backend::Job;
use bert_core::data::packed::PackedSequences;
use bert_core::error::Result;
use bert_core::model::BertForQuestionAnswering;
use bert_core::nn::Init;
use bert_core::ops::{BertAutodiffBackend, DropoutKey};
use bert_core::weights::{ModelDirectory, Part};

/// The longest answer.
const MOST_TOKENS: usize = 30;

/// The program.
///
/// # Errors
/// What reading the model gives.
pub fn run(arguments: &[String]) -> Result<()> {
    let (question, context) = (&arguments[1], &arguments[2]);
    let directory = ModelDirectory::open(&arguments[0])?;
    let encoding = encode(&directory, question, Some(context))?;
    let mut sequences = PackedSequences::default();
    sequences.push(&encoding.input_ids, &encoding.token_type_ids);
    // A row a token: how well an answer begins there, and ends there.
    let scores = on_cpu(Answer {
        directory: &directory,
        sequences,
    })?;
    let in_context =
        |token: &usize| encoding.token_type_ids[*token] == 1 && encoding.words[*token].is_some();
    let tokens: Vec<usize> = (0..scores.len()).filter(in_context).collect();
    let spans = tokens.iter().flat_map(|&first| {
        let lasts = tokens.iter().filter(move |&&last| last >= first);
        lasts.take(MOST_TOKENS).map(move |&last| (first, last))
    });
    let score = |(first, last): &(usize, usize)| scores[*first][0] + scores[*last][1];
    let best = spans.max_by(|a, b| score(a).total_cmp(&score(b)));
    if let Some((first, last)) = best {
        let (start, end) = (encoding.offsets[first].0, encoding.offsets[last].1);
        let answer = context.chars().skip(start).take(end - start);
        println!("{}", answer.collect::<String>());
    }
    Ok(())
}

struct Answer<'a> {
    directory: &'a ModelDirectory,
    sequences: PackedSequences,
}

impl Job for Answer<'_> {
    type Output = Vec<[f32; 2]>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Vec<[f32; 2]>> {
        let init = Init::<B::InnerBackend>::new(&self.directory.config, 0, &device);
        let model = BertForQuestionAnswering::new(&self.directory.config, &init);
        let model = (self.directory).load_whole(model, &[Part::AnswerHead], &device)?;
        let batch = self.sequences.to_device(&device);
        // [tokens, 2]
        let scores = model.forward(&batch, &DropoutKey::inference());
        let flat: Vec<f32> = scores.into_data().iter().collect();
        Ok(flat.chunks(2).map(|row| [row[0], row[1]]).collect())
    }
}
