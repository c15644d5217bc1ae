//! Where this crate reads what strangers wrote. Each entry point takes any bytes, reads all it would read of a good
//! input, and returns whether this was one. The first byte says what the rest is.

#[path = "input.rs"]
mod input;

use bert_core::config::{BertConfig, from_value};
use bert_core::tokenizer::BertTokenizer;
use bert_core::weights::{Checkpoint, read_config, read_head};
use input::{empty, put};

/// A configuration file, and overrides after zero bytes.
pub(crate) fn config(bytes: &[u8]) -> bool {
    let (value, applied) = input::overridden(bytes);
    let of_model = BertConfig::from_hugging_face("config.json", value.clone());
    let _ = from_value::<BertConfig>("config.json", value);
    applied && of_model.is_ok()
}

/// `tokenizer.json`, `vocab.txt`, or a `tokenizer_config.json` beside a good vocabulary; and what they make of texts.
pub(crate) fn tokenizer(bytes: &[u8]) -> bool {
    let Some((kind, content)) = bytes.split_first() else {
        return false;
    };
    let directory = empty();
    match kind % 3 {
        0 => drop(put(&directory, "tokenizer.json", content)),
        1 => drop(put(&directory, "vocab.txt", content)),
        _ => {
            put(
                &directory,
                "vocab.txt",
                b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\n",
            );
            put(&directory, "tokenizer_config.json", content);
        }
    }
    let Ok(tokenizer) = BertTokenizer::load(&directory) else {
        return false;
    };
    for text in [
        "",
        "a b abb [MASK] \u{e9}\u{4e2d}\u{1f600}",
        "[CLS] [SEP]\0\u{301}\u{202e}",
    ] {
        let mut ids = Vec::new();
        let _ = tokenizer.append_ids(text, &mut ids);
        let size = tokenizer.vocab_size();
        assert!(
            ids.iter().all(|id| (*id as usize) < size),
            "an id beyond the vocabulary"
        );
    }
    let again = directory.join("again");
    std::fs::create_dir(&again).unwrap();
    tokenizer.save(&again, Some(512)).unwrap();
    BertTokenizer::load(&again).unwrap();
    true
}

/// A good model in shards.
const GOOD: [(&str, &[u8]); 5] = [
    (
        "config.json",
        include_bytes!("../golden/formats/sharded/config.json"),
    ),
    (
        "model.safetensors.index.json",
        include_bytes!("../golden/formats/sharded/model.safetensors.index.json"),
    ),
    (
        "model-00001-of-00003.safetensors",
        include_bytes!("../golden/formats/sharded/model-00001-of-00003.safetensors"),
    ),
    (
        "model-00002-of-00003.safetensors",
        include_bytes!("../golden/formats/sharded/model-00002-of-00003.safetensors"),
    ),
    (
        "model-00003-of-00003.safetensors",
        include_bytes!("../golden/formats/sharded/model-00003-of-00003.safetensors"),
    ),
];

/// `model.safetensors`, `pytorch_model.bin`, an index of shards, or the `config.json` of a good model.
pub(crate) fn weights(bytes: &[u8]) -> bool {
    let Some((kind, content)) = bytes.split_first() else {
        return false;
    };
    let directory = empty();
    let copy = |name: &str| {
        let (_, content) = GOOD.iter().find(|(good, _)| *good == name).unwrap();
        put(&directory, name, content);
    };
    match kind % 4 {
        0 => drop(put(&directory, "model.safetensors", content)),
        1 => drop(put(&directory, "pytorch_model.bin", content)),
        kind => {
            for (name, _) in GOOD.iter().filter(|(name, _)| name.contains("-of-")) {
                copy(name);
            }
            if kind == 2 {
                put(&directory, "model.safetensors.index.json", content);
            } else {
                copy("model.safetensors.index.json");
                put(&directory, "config.json", content);
            }
        }
    }
    if !directory.join("config.json").exists() {
        copy("config.json");
    }
    let config = read_config(&directory).is_ok() & read_head(&directory).is_ok();
    let Ok(checkpoint) = Checkpoint::open(&directory) else {
        return false;
    };
    let read = checkpoint.names().map(|name| checkpoint.read(name).is_ok());
    read.fold(config, |all, one| all & one)
}
