//! Model directories in every form that people have them in, and files that are damaged or mean harm. The fixtures are
//! made by `golden/generate.py`, most of them by transformers itself.
#![cfg(feature = "ndarray")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bert_core::config::BertConfig;
use bert_core::error::{Error, Result};
use bert_core::model::{BertForPreTraining, BertForSequenceClassification, BertModel};
use bert_core::nn::{Init, Linear};
use bert_core::weights::{
    Checkpoint, Head, Loaded, Part, load_weights, read_config, read_head, save_model,
    write_safetensors,
};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use half::{bf16, f16};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Model = BertForPreTraining<NdArray<f32>>;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn tensors(checkpoint: &Checkpoint) -> BTreeMap<String, Vec<f32>> {
    let read = |name: &str| checkpoint.read(name).unwrap().unwrap();
    checkpoint
        .names()
        .map(|name| (name.to_string(), read(name)))
        .collect()
}

fn config() -> BertConfig {
    read_config(&golden("models/gelu")).unwrap()
}

fn load(directory: &Path) -> Result<(Model, Loaded)> {
    let model = Model::new(&config(), 0, &Default::default());
    load_weights(directory, model, &Default::default())
}

fn reference() -> BTreeMap<String, Vec<f32>> {
    tensors(&Checkpoint::open(&golden("models/gelu")).unwrap())
}

/// What a model holds, by writing it and reading that.
fn saved(model: &Model) -> BTreeMap<String, Vec<f32>> {
    let directory = tempfile::tempdir().unwrap();
    save_model(
        directory.path(),
        model,
        &config(),
        &Head::new("BertForPreTraining"),
        &BTreeSet::new(),
    )
    .unwrap();
    tensors(&Checkpoint::open(directory.path()).unwrap())
}

fn message(error: Error) -> String {
    format!("{error}; {}", error.help().unwrap_or_default())
}

#[test]
fn every_form_of_a_checkpoint_holds_the_same_bits() {
    let expected = reference();
    assert_eq!(expected.len(), 46);
    for form in ["sharded", "bin", "bin-old", "bin-views"] {
        let (model, loaded) = load(&golden("formats").join(form)).unwrap();
        assert_eq!(loaded, Loaded::default(), "{form}");
        assert_eq!(saved(&model), expected, "{form}");
    }
}

#[test]
fn half_precision_becomes_the_same_numbers_in_f32() {
    let rounded = |round: fn(f32) -> f32| -> BTreeMap<String, Vec<f32>> {
        let values = |values: Vec<f32>| values.into_iter().map(round).collect();
        reference()
            .into_iter()
            .map(|(name, list)| (name, values(list)))
            .collect()
    };
    let as_f16 = rounded(|value| f16::from_f32(value).to_f32());
    let as_bf16 = rounded(|value| bf16::from_f32(value).to_f32());
    for (form, expected) in [("f16", &as_f16), ("bf16", &as_bf16), ("bin-bf16", &as_bf16)] {
        let (model, _) = load(&golden("formats").join(form)).unwrap();
        assert_eq!(&saved(&model), expected, "{form}");
    }
}

#[test]
fn parts_that_a_checkpoint_lacks_are_named_and_start_from_initial_values() {
    let (initial, expected) = (
        saved(&Model::new(&config(), 0, &Default::default())),
        reference(),
    );
    for (form, absent, unused) in [
        (
            "encoder",
            vec![Part::MaskedLmHead, Part::NextSentenceHead],
            0,
        ),
        ("masked-lm", vec![Part::Pooler, Part::NextSentenceHead], 0),
        (
            "classifier",
            vec![Part::MaskedLmHead, Part::NextSentenceHead],
            2,
        ),
    ] {
        let (model, loaded) = load(&golden("formats").join(form)).unwrap();
        assert_eq!(loaded.absent, BTreeSet::from_iter(absent), "{form}");
        assert_eq!(loaded.unused.len(), unused, "{form}: {loaded:?}");
        assert_eq!(loaded.remarks().len(), 2 + usize::from(unused > 0));
        for (name, values) in saved(&model) {
            let is_absent = loaded
                .absent
                .iter()
                .any(|part| name.starts_with(part.prefix()));
            if is_absent {
                assert_eq!(values, initial[&name], "{form} {name}");
            } else if form != "classifier" {
                assert_eq!(values, expected[&name], "{form} {name}");
            }
        }
        let origin = Path::new("dir");
        for part in Part::OF_PRETRAINING {
            let required = loaded.require(part, origin);
            assert_eq!(required.is_err(), loaded.absent.contains(&part));
        }
    }
}

/// A tagger of a user's own.
#[derive(Module, Debug)]
struct Tagger<B: Backend> {
    bert: BertModel<B>,
    crf: Linear<B>,
}

/// A part of a user's own that is no linear map.
#[derive(Module, Debug)]
struct Transitions<B: Backend> {
    bert: BertModel<B>,
    transitions: Param<Tensor<B, 2>>,
}

/// Its body has another name than in checkpoints.
#[derive(Module, Debug)]
struct Misnamed<B: Backend> {
    body: BertModel<B>,
}

impl<B: Backend> Tagger<B> {
    fn new(seed: u64, device: &B::Device) -> Self {
        let config = config();
        let init = Init::new(&config, seed, device);
        let bert = BertModel::new(&config, &init);
        let crf = init.linear("crf", config.hidden_size, 5);
        Self { bert, crf }
    }
}

fn values<const D: usize>(parameter: &Param<Tensor<NdArray, D>>) -> Vec<f32> {
    parameter.val().into_data().into_vec().unwrap()
}

fn save<M: Module<NdArray>>(module: &M) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (head, all) = (Head::new("BertModel"), BTreeSet::new());
    save_model(directory.path(), module, &config(), &head, &all).unwrap();
    directory
}

#[test]
fn a_bare_body_is_read_from_every_checkpoint_that_has_one() {
    let expected = reference();
    let device = Default::default();
    for (form, unused) in [("models/gelu", 7), ("formats/encoder", 0)] {
        let init = Init::<NdArray>::new(&config(), 0, &device);
        let model = BertModel::new(&config(), &init);
        let (model, loaded) = load_weights(&golden(form), model, &device).unwrap();
        assert_eq!(loaded.unused.len(), unused, "{form}: {loaded:?}");
        assert!(loaded.absent.is_empty() && loaded.new.is_empty());
        // It is written without the prefix, as transformers does, and read with it.
        let saved = tensors(&Checkpoint::open(save(&model).path()).unwrap());
        assert_eq!(saved.len(), expected.len() - 7);
        for (name, values) in saved {
            assert_eq!(values, expected[&name], "{form} {name}");
        }
    }
}

#[test]
fn a_part_of_the_users_own_keeps_its_initial_values_until_it_is_saved() {
    let device = Default::default();
    let new = Tagger::<NdArray>::new(3, &device);
    let initial = values(&new.crf.weight);
    let (tagger, loaded) = load_weights(&golden("models/gelu"), new, &device).unwrap();
    assert_eq!(loaded.new, BTreeSet::from(["crf".to_string()]));
    assert!(
        loaded.remarks()[0].starts_with("crf.* is not"),
        "{loaded:?}"
    );
    assert_eq!(values(&tagger.crf.weight), initial);
    let word = "bert.embeddings.word_embeddings.weight";
    let words = values(&tagger.bert.embeddings.word_embeddings.weight);
    assert_eq!(words, reference()[word]);

    let directory = save(&tagger);
    let other = Tagger::<NdArray>::new(4, &device);
    let (again, loaded) = load_weights(directory.path(), other, &device).unwrap();
    assert_eq!(loaded, Loaded::default());
    assert_eq!(values(&again.crf.weight), initial);
}

#[test]
fn only_linear_maps_are_transposed_in_checkpoints() {
    let device = Default::default();
    let tagger = Tagger::<NdArray>::new(3, &device);
    let weight = values(&tagger.crf.weight);
    let [inputs, outputs] = tagger.crf.weight.dims();
    let init_config = config();
    let init = Init::new(&init_config, 3, &device);
    let table = Transitions {
        bert: tagger.bert.clone(),
        transitions: init.matrix("transitions", [4, 4]),
    };
    let transitions = values(&table.transitions);

    let saved = tensors(&Checkpoint::open(save(&tagger).path()).unwrap());
    let stored = &saved["crf.weight"];
    for (place, value) in weight.iter().enumerate() {
        let (input, output) = (place / outputs, place % outputs);
        assert_eq!(stored[output * inputs + input], *value);
    }
    let directory = save(&table);
    let saved = tensors(&Checkpoint::open(directory.path()).unwrap());
    assert_eq!(saved["transitions"], transitions);
    let other = Transitions {
        transitions: init.matrix("others", [4, 4]),
        ..table
    };
    let (again, _) = load_weights(directory.path(), other, &device).unwrap();
    assert_eq!(values(&again.transitions), transitions);
}

#[test]
fn a_body_under_another_name_is_refused() {
    let device = Default::default();
    let body = Tagger::<NdArray>::new(0, &device).bert;
    let module = Misnamed { body };
    let problem = message(load_weights(&golden("models/gelu"), module, &device).unwrap_err());
    let expected = "it has nothing named body.*; unknown tensor bert.embeddings.";
    assert!(problem.contains(expected), "{problem}");
}

/// Initial values that must not be asked for, of parameters that are trained or not.
struct Undrawn {
    is_trained: bool,
}

impl<B: Backend> ModuleMapper<B> for Undrawn {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let draw = |_: &B::Device, _| panic!("initial values were drawn");
        let (id, shape, device) = (param.id, param.lazy_shape(), param.lazy_device());
        Param::uninitialized(id, draw, device, self.is_trained, shape)
    }
}

/// Whether each parameter is trained.
#[derive(Default)]
struct Trained(Vec<bool>);

impl<B: Backend> ModuleVisitor<B> for Trained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.0.push(param.val().is_require_grad());
    }
}

#[test]
fn what_is_frozen_stays_so_and_initial_values_are_never_drawn() {
    let device = Default::default();
    let new = Tagger::<Autodiff<NdArray>>::new(0, &device);
    let new = Tagger {
        bert: new.bert.map(&mut Undrawn { is_trained: false }),
        crf: new.crf.map(&mut Undrawn { is_trained: true }),
    };
    let whole = save(&Tagger::<NdArray>::new(0, &device));
    let (tagger, loaded) = load_weights(whole.path(), new, &device).unwrap();
    assert_eq!(loaded, Loaded::default());
    let (mut body, mut head) = (Trained::default(), Trained::default());
    tagger.bert.visit(&mut body);
    tagger.crf.visit(&mut head);
    assert_eq!(head.0, [true; 2]);
    assert_eq!(body.0, [false; 39]);
}

/// transformers makes a classifier of two outputs where nothing names them, and refuses the weights of another.
#[test]
fn every_output_of_a_classifier_has_a_name_where_it_is_saved() {
    let device = Default::default();
    let init = Init::<NdArray>::new(&config(), 0, &device);
    let model = BertForSequenceClassification::new(&config(), 5, &init);
    let directory = tempfile::tempdir().unwrap();
    let mut head = Head::new("BertForSequenceClassification");
    let save = |head: &Head| save_model(directory.path(), &model, &config(), head, &[].into());
    save(&head).unwrap();
    let names: Vec<String> = (0..5).map(|output| format!("LABEL_{output}")).collect();
    assert_eq!(read_head(directory.path()).unwrap().labels, names);

    head.labels = vec!["no".into(), "yes".into()];
    let problem = message(save(&head).unwrap_err());
    assert!(problem.contains("5 outputs, its head names 2"), "{problem}");
}

#[test]
fn export_has_the_names_and_shapes_of_transformers_and_import_gives_the_same_bits() {
    let (model, _) = load(&golden("models/gelu")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    save_model(
        directory.path(),
        &model,
        &config(),
        &Head::new("BertForPreTraining"),
        &BTreeSet::new(),
    )
    .unwrap();
    let theirs = Checkpoint::open(&golden("models/gelu")).unwrap();
    let ours = Checkpoint::open(directory.path()).unwrap();
    let shapes = |checkpoint: &Checkpoint| -> Vec<(String, Vec<usize>)> {
        let shape = |name: &str| checkpoint.shape(name).unwrap().to_vec();
        checkpoint
            .names()
            .map(|name| (name.to_string(), shape(name)))
            .collect()
    };
    assert_eq!(shapes(&ours), shapes(&theirs));
    assert_eq!(tensors(&ours), tensors(&theirs));
    let bytes = fs::read(directory.path().join("model.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    assert_eq!(read_config(directory.path()).unwrap(), config());

    // Without a head, the others stay.
    save_model(
        directory.path(),
        &model,
        &config(),
        &Head::new("BertForMaskedLM"),
        &BTreeSet::from([Part::Pooler]),
    )
    .unwrap();
    let without = Checkpoint::open(directory.path()).unwrap();
    assert_eq!(without.names().count(), 44);
    assert!(without.shape("bert.pooler.dense.bias").is_none());
}

/// The reference with changes, as a model directory.
fn changed(
    change: impl FnOnce(&mut BTreeMap<String, (Vec<usize>, Vec<f32>)>),
) -> tempfile::TempDir {
    let reference = Checkpoint::open(&golden("models/gelu")).unwrap();
    let mut all: BTreeMap<String, (Vec<usize>, Vec<f32>)> = tensors(&reference)
        .into_iter()
        .map(|(name, values)| {
            let shape = reference.shape(&name).unwrap().to_vec();
            (name, (shape, values))
        })
        .collect();
    change(&mut all);
    let directory = tempfile::tempdir().unwrap();
    let layout = all.iter();
    let layout = layout.map(|(name, (shape, _))| (name.clone(), shape.clone()));
    let path = directory.path().join("model.safetensors");
    write_safetensors(&path, layout.collect(), |writer| {
        all.values()
            .try_for_each(|(_, values)| writer.write(values))
    })
    .unwrap();
    directory
}

#[test]
fn what_cannot_be_right_is_refused_by_name() {
    let query = "bert.encoder.layer.1.attention.self.query.weight";
    let cases = [
        (
            changed(|all| drop(all.remove(query))),
            format!("missing tensor {query}"),
        ),
        (
            changed(|all| {
                drop(all.insert(
                    "bert.encoder.layer.2.output.dense.bias".into(),
                    (vec![1], vec![0.0]),
                ))
            }),
            "unknown tensor bert.encoder.layer.2.output.dense.bias".into(),
        ),
        (
            changed(|all| all.get_mut(query).unwrap().0 = vec![6, 24]),
            format!("tensor {query} is [6, 24], the configuration wants [12, 12]"),
        ),
        (
            changed(|all| drop(all.remove("cls.predictions.transform.dense.bias"))),
            "missing tensor cls.predictions.transform.dense.bias".into(),
        ),
        (
            changed(|all| {
                let mut decoder = all["bert.embeddings.word_embeddings.weight"].clone();
                decoder.1[5] += 1.0;
                all.insert("cls.predictions.decoder.weight".into(), decoder);
            }),
            "cls.predictions.decoder.weight differs from bert.embeddings.word_embeddings.weight"
                .into(),
        ),
        (
            changed(|all| {
                let bias = all["bert.pooler.dense.bias"].clone();
                all.insert("pooler.dense.bias".into(), bias);
            }),
            "is there twice, as bert.pooler.dense.bias".into(),
        ),
    ];
    for (directory, expected) in cases {
        let problem = message(load(directory.path()).unwrap_err());
        assert!(problem.contains(&expected), "{problem}");
    }
}

/// The golden model's configuration with another value of a key.
fn with(key: &str, value: serde_json::Value) -> Result<BertConfig> {
    let directory = tempfile::tempdir().unwrap();
    let weights = "model.safetensors";
    let copy = directory.path().join(weights);
    fs::copy(golden("models/gelu").join(weights), copy).unwrap();
    let text = fs::read_to_string(golden("models/gelu/config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config[key] = value;
    fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    read_config(directory.path())
}

#[test]
fn configurations_that_would_give_other_numbers_are_refused_by_name() {
    for (key, value) in [
        ("model_type", serde_json::json!("roberta")),
        ("position_embedding_type", "relative_key".into()),
        ("hidden_act", "silu".into()),
        ("is_decoder", true.into()),
        ("add_cross_attention", true.into()),
        ("tie_word_embeddings", false.into()),
        ("pruned_heads", serde_json::json!({"0": [1]})),
        ("hidden_size", 13.into()),
    ] {
        let problem = message(with(key, value.clone()).unwrap_err());
        let named = if key == "hidden_size" {
            "num_attention_heads"
        } else {
            key
        };
        assert!(problem.contains(named), "{problem}");
    }
    for (key, value) in [
        ("position_embedding_type", serde_json::Value::Null),
        ("pruned_heads", serde_json::json!({})),
        ("some_later_key", 3.into()),
    ] {
        assert_eq!(with(key, value).unwrap(), config());
    }
}

/// A model of the configuration is made before weights are read: it must not be one of any size that a file asks for.
#[test]
fn sizes_that_are_not_those_of_the_weights_are_refused_before_a_model_is_made() {
    for (key, size, named) in [
        ("vocab_size", 1_u64 << 24, "word_embeddings"),
        ("hidden_size", 12 << 10, "word_embeddings"),
        ("max_position_embeddings", 1 << 20, "position_embeddings"),
        ("type_vocab_size", 1, "token_type_embeddings"),
        ("intermediate_size", 1 << 17, "intermediate"),
        ("num_hidden_layers", 1 << 12, "layer.2."),
        ("vocab_size", 1 << 40, "must be at most"),
        ("num_hidden_layers", 1 << 20, "must be at most"),
    ] {
        let problem = message(with(key, size.into()).unwrap_err());
        assert!(problem.contains(named), "{key}: {problem}");
    }
}

#[cfg(unix)]
#[test]
fn a_shard_that_is_a_symbolic_link_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden("formats/sharded")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    Checkpoint::open(directory.path()).unwrap();
    let shard = directory.path().join("model-00002-of-00003.safetensors");
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("weights");
    fs::rename(&shard, &target).unwrap();
    std::os::unix::fs::symlink(&target, &shard).unwrap();
    let problem = message(Checkpoint::open(directory.path()).unwrap_err());
    assert!(problem.contains("symbolic link"), "{problem}");
}

/// Opens `bytes` as a model file and reads everything in it.
fn open(name: &str, bytes: &[u8]) -> Result<()> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(name), bytes).unwrap();
    let checkpoint = Checkpoint::open(directory.path())?;
    for name in checkpoint.names() {
        checkpoint.read(name)?;
    }
    Ok(())
}

const FILES: [(&str, &str); 3] = [
    ("models/gelu/model.safetensors", "model.safetensors"),
    ("formats/bin/pytorch_model.bin", "pytorch_model.bin"),
    ("formats/bin-old/pytorch_model.bin", "pytorch_model.bin"),
];

#[test]
fn a_file_that_is_cut_short_anywhere_is_refused() {
    for (fixture, name) in FILES {
        let bytes = fs::read(golden(fixture)).unwrap();
        assert!(open(name, &bytes).is_ok());
        let sparse = (0..bytes.len()).step_by(211);
        for length in (0..300).chain(sparse).chain(bytes.len() - 40..bytes.len()) {
            let error = open(name, &bytes[..length]).unwrap_err();
            assert!(matches!(error, Error::Weights { .. }), "{length}: {error}");
        }
    }
}

#[test]
fn damaged_bytes_never_cause_a_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for (fixture, name) in FILES {
        let bytes = fs::read(golden(fixture)).unwrap();
        // Most of the damage where the descriptions are.
        for round in 0..1500 {
            let mut damaged = bytes.clone();
            for _ in 0..random.random_range(1..4) {
                let end = if round % 2 == 0 { damaged.len() } else { 6000 };
                let at = random.random_range(0..end);
                damaged[at] = random.random();
            }
            let _ = open(name, &damaged);
        }
    }
}

/// A safetensors file with this header, and `data` bytes.
fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn headers_that_lie_are_refused_at_once() {
    let tensor = |shape: &str, from: u64, to: u64| {
        format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    };
    let one = |info: String| format!(r#"{{"a":{info}}}"#);
    let two = |a: String, b: String| format!(r#"{{"a":{a},"b":{b}}}"#);
    let nested = "[".repeat(1_000_000);
    let cases = [
        (
            "a header of terabytes",
            [&(1_u64 << 42).to_le_bytes()[..], b"{}"].concat(),
        ),
        ("of the largest number", u64::MAX.to_le_bytes().to_vec()),
        (
            "a tensor of terabytes",
            with_header(&one(tensor("[1099511627776]", 0, 4398046511104)), 8),
        ),
        (
            "a shape that overflows",
            with_header(&one(tensor("[4294967296,4294967296,4]", 0, 8)), 8),
        ),
        (
            "overlapping tensors",
            with_header(&two(tensor("[2]", 0, 8), tensor("[2]", 4, 12)), 12),
        ),
        (
            "a gap",
            with_header(&two(tensor("[2]", 0, 8), tensor("[1]", 12, 16)), 16),
        ),
        (
            "offsets backwards",
            with_header(&one(tensor("[2]", 8, 0)), 8),
        ),
        (
            "more data than tensors",
            with_header(&one(tensor("[2]", 0, 8)), 12),
        ),
        ("endless nesting", with_header(&nested, 0)),
        ("no JSON", with_header("hello", 0)),
    ];
    for (what, bytes) in cases {
        assert!(open("model.safetensors", &bytes).is_err(), "{what}");
    }
}

#[test]
fn a_tensor_without_elements_has_no_values() {
    let header = r#"{"a":{"dtype":"F32","shape":[0,3],"data_offsets":[0,0]}}"#;
    assert!(open("model.safetensors", &with_header(header, 0)).is_ok());
}

#[test]
fn nothing_in_a_pickle_is_run() {
    let bytes = fs::read(golden("formats/bin-old/pytorch_model.bin")).unwrap();
    let position = |part: &[u8]| bytes.windows(part.len()).position(|window| window == part);
    let (from, to) = (
        &b"ccollections\nOrderedDict\n"[..],
        &b"cposix\nsystem\n"[..],
    );
    let at = position(from).unwrap();
    let hostile = [&bytes[..at], to, &bytes[at + from.len()..]].concat();
    let problem = message(open("pytorch_model.bin", &hostile).unwrap_err());
    assert!(problem.contains("it calls posix.system"), "{problem}");
}

#[test]
fn pickles_without_end_or_depth_are_refused_without_growing() {
    let deep = [&[b']'; 1_000_000][..], &[b'a'; 999_999][..]].concat();
    let tuples = [&b")"[..], &[0x85; 1_500_000][..]].concat();
    let claims = b"X\xff\xff\xff\xffabc".to_vec();
    let marks = vec![b'('; 20_000_000];
    let recalls = [&b"Nq\0"[..], &b"h\0".repeat(9_000_000)].concat();
    for program in [deep, tuples, claims, marks, recalls] {
        let start = b"\x80\x02";
        let bytes = [start, program.as_slice(), b"."].concat();
        assert!(open("pytorch_model.bin", &bytes).is_err());
    }
}

#[test]
fn an_index_reaches_no_file_but_those_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    for shard in [
        "../model.safetensors",
        "/etc/passwd",
        "a/b.safetensors",
        "",
        "..",
    ] {
        let index = serde_json::json!({"weight_map": {"bert.pooler.dense.bias": shard}});
        fs::write(
            directory.path().join("model.safetensors.index.json"),
            index.to_string(),
        )
        .unwrap();
        let problem = message(Checkpoint::open(directory.path()).unwrap_err());
        assert!(
            problem.contains("is not the name of a file beside it"),
            "{problem}"
        );
    }
    // A tensor that no shard has.
    fs::copy(
        golden("models/gelu/model.safetensors"),
        directory.path().join("a.safetensors"),
    )
    .unwrap();
    let index = serde_json::json!({"weight_map": {"pooler.dense.extra": "a.safetensors"}});
    fs::write(
        directory.path().join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
    let problem = message(Checkpoint::open(directory.path()).unwrap_err());
    assert!(
        problem.contains("no shard has tensor bert.pooler.dense.extra"),
        "{problem}"
    );
}

#[test]
fn a_directory_without_weights_says_what_it_should_have() {
    let directory = tempfile::tempdir().unwrap();
    let problem = message(Checkpoint::open(directory.path()).unwrap_err());
    assert!(
        problem.contains("it has no weights") && problem.contains("model.safetensors"),
        "{problem}"
    );
    fs::write(directory.path().join("tf_model.h5"), "").unwrap();
    let problem = message(Checkpoint::open(directory.path()).unwrap_err());
    assert!(problem.contains("tf_model.h5"), "{problem}");
}
