//! The `bert-finetune` command. Fine-tuning is not built yet; the program says so and fails.

fn main() -> std::process::ExitCode {
    eprintln!(
        "error: fine-tuning is not implemented yet; a pre-trained model directory fine-tunes in Hugging Face transformers"
    );
    std::process::ExitCode::FAILURE
}
