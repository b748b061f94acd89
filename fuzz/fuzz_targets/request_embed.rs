//! A request for embeddings, in every dialect that has them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| nexus_fuzz::embed(data));
