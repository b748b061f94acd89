//! Entropy of the operating system, replaced by a seeded stream on the threads that ask for it: hash maps, tokio's own
//! dice, gossip and cryptography draw from it and have no other way of being told. A packet that nobody has the keys of
//! is noise, and what is done about it depends on its bits: with random keys one seed would not give one trace.

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
#[expect(unsafe_code, reason = "symbols of libc are replaced in this binary; there is no safe way to do that")]
mod interposed {
    use std::arch::asm;
    use std::ffi::{c_int, c_long, c_uint, c_void};

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
        fn __errno_location() -> *mut c_int;
    }

    /// A system call as it is, with the kernel's own result.
    #[cfg(target_arch = "x86_64")]
    unsafe fn kernel(number: c_long, a: [usize; 6]) -> isize {
        let result: isize;
        // SAFETY: the caller's own arguments go to the kernel unchanged, by its calling convention.
        unsafe {
            asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
                 in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        result
    }

    /// A system call as it is, with the kernel's own result.
    #[cfg(target_arch = "aarch64")]
    unsafe fn kernel(number: c_long, a: [usize; 6]) -> isize {
        let result: isize;
        // SAFETY: the caller's own arguments go to the kernel unchanged, by its calling convention.
        unsafe {
            asm!("svc 0", in("x8") number as isize, inlateout("x0") a[0] as isize => result, in("x1") a[1], in("x2") a[2],
                 in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
        }
        result
    }

    /// Stands in for libc's `syscall`, by which the cryptography asks for its entropy: same arguments, same result. What is
    /// variadic there is passed as other arguments are, on both processors.
    #[unsafe(no_mangle)]
    extern "C" fn syscall(number: c_long, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> c_long {
        if number == GETRANDOM {
            return getrandom(a as *mut c_void, b, c as c_uint) as c_long;
        }
        // SAFETY: the caller's own arguments go to the kernel unchanged.
        told(unsafe { kernel(number, [a, b, c, d, e, f]) }) as c_long
    }

    /// The kernel's result as libc tells it.
    fn told(result: isize) -> isize {
        if !(-4095..0).contains(&result) {
            return result;
        }
        // SAFETY: libc gives the address of this thread's own `errno`.
        unsafe { *__errno_location() = c_int::try_from(-result).unwrap_or(c_int::MAX) };
        -1
    }

    /// Stands in for libc's `getrandom`: same arguments, same result. A thread that is not pinned gets the kernel's.
    #[unsafe(no_mangle)]
    extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
        let Some(mut number) = next() else {
            // SAFETY: the caller's own arguments go to the kernel unchanged.
            return told(unsafe { kernel(GETRANDOM, [buffer as usize, length, flags as usize, 0, 0, 0]) });
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
