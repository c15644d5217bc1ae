//! Configurations of models and of both programs, with overrides.
#![no_main]

#[path = "../../tests/hostile/entries.rs"]
#[allow(dead_code)]
mod core;
#[path = "../../../bert-finetune/tests/hostile/entries.rs"]
#[allow(dead_code)]
mod finetune;
#[path = "../../../bert-pretrain/tests/hostile/entries.rs"]
#[allow(dead_code)]
mod pretrain;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, content)) = bytes.split_first() else {
        return;
    };
    let entry = [core::config, pretrain::pretrain_config, finetune::finetune_config];
    entry[usize::from(kind % 3)](content);
});
