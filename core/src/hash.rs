//! The stable hash: values derived from a job's name must be the same on every host and in every version.

/// FNV-1a over the parts, each closed by a zero byte, then MurmurHash3's finalizer.
///
/// # Source
/// <http://www.isthe.com/chongo/tech/comp/fnv/>; Austin Appleby, `MurmurHash3`, `fmix64`.
pub(crate) fn stable(parts: &[&[u8]]) -> u64 {
    let mut state = 0xCBF2_9CE4_8422_2325_u64;
    for part in parts {
        for byte in part.iter().chain(&[0]) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }
    state = (state ^ (state >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    state = (state ^ (state >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    state ^ (state >> 33)
}

/// Maps a hash to 0 up to, not including, `choices`.
pub(crate) fn scale(hash: u64, choices: u64) -> u64 {
    let product = u128::from(hash) * u128::from(choices);
    u64::try_from(product >> 64).unwrap_or(u64::MAX)
}
