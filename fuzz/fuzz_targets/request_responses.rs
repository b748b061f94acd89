//! A request of a client in Responses's dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nexus::exchange::Endpoint;

fuzz_target!(|data: &[u8]| nexus_fuzz::request(Endpoint::Responses, data));
