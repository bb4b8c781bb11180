//! Memory settings of this process.

/// Disables transparent huge pages for this process; no effect if the system has none.
///
/// A burst touches many memory pages for the first time, and uses a small part of each. With transparent huge pages the
/// kernel clears two MiB for each of them, which took more processor time than the rest of the burst. Child processes
/// inherit the setting, the tasks of the local launcher included.
///
/// Source: <https://man7.org/linux/man-pages/man2/PR_SET_THP_DISABLE.2const.html>.
pub fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        // The only consequence is slower bursts.
        tracing::debug!(%error, "could not request small memory pages");
    }
}
