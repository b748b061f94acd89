//! What routing reads of a body, at every endpoint, forms among them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| nexus_fuzz::inspect(data));
