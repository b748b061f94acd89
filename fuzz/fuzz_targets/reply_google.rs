//! A whole answer of a backend in Google's dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus::exchange::Endpoint;

fuzz_target!(|data: &[u8]| nexus_fuzz::reply(Endpoint::GenerateContent, data));
