//! The allocator of programs that train.

/// Makes jemalloc the program's allocator: `bert_core::use_jemalloc!();` in its `main.rs`, once. It brings the allocator
/// along; a program needs no dependency of its own. Where the target is MSVC's it does nothing.
///
/// It keeps memory that was freed, in huge pages where the system has them: every step asks for the same large buffers
/// again, and having the system clear their pages anew took a third of a step of BERT-Base.
#[macro_export]
macro_rules! use_jemalloc {
    () => {
        #[cfg(not(target_env = "msvc"))]
        #[global_allocator]
        static ALLOCATOR: $crate::tikv_jemallocator::Jemalloc = $crate::tikv_jemallocator::Jemalloc;

        /// Read by jemalloc as it starts.
        #[cfg(not(target_env = "msvc"))]
        #[unsafe(export_name = "_rjem_malloc_conf")]
        pub static ALLOCATOR_SETTINGS: &u8 =
            &b"dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always,oversize_threshold:0\0"[0];
    };
}
