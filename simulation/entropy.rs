//! Entropy of the operating system, replaced by a seeded stream on the threads that ask for it: hash maps, tokio's own
//! dice and gossip draw from it and have no other way of being told. Cryptography asks the kernel directly and stays
//! random, which changes the bytes on the wire but neither their number nor their time.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// From here on this thread's entropy follows from `seed`.
///
/// Elsewhere than on Linux it stays random, and a seed does not give one trace.
pub(crate) fn pin(seed: u64) {
    STATE.set(Some(seed ^ STRIDE));
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[expect(unsafe_code, reason = "the symbol of libc is replaced in this binary; there is no safe way to do that")]
mod interposed {
    use std::ffi::{c_long, c_uint, c_void};

    #[cfg(target_arch = "x86_64")]
    const GETRANDOM: c_long = 318;
    #[cfg(target_arch = "aarch64")]
    const GETRANDOM: c_long = 278;

    /// The next number of splitmix64, where this thread is pinned.
    fn next() -> Option<u64> {
        super::STATE
            .try_with(|cell| {
                let state = cell.get()?.wrapping_add(super::STRIDE);
                cell.set(Some(state));
                let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                Some(mixed ^ (mixed >> 31))
            })
            .ok()
            .flatten()
    }

    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }

    /// Stands in for libc's `getrandom`: same arguments, same result. A thread that is not pinned gets the kernel's.
    #[unsafe(no_mangle)]
    extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
        let Some(mut number) = next() else {
            // SAFETY: the caller's own arguments go to the kernel unchanged.
            return unsafe { syscall(GETRANDOM, buffer, length, flags) as isize };
        };
        for at in 0..length {
            if at % 8 == 0 && at > 0 {
                number = next().unwrap_or_default();
            }
            // SAFETY: the caller promises `length` writable bytes at `buffer`, as it does to libc.
            unsafe { buffer.cast::<u8>().add(at).write(number.to_le_bytes()[at % 8]) };
        }
        isize::try_from(length).unwrap_or(isize::MAX)
    }
}
