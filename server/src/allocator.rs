//! Memory settings of this process.

/// Disables transparent huge pages for this process; no effect where there are none.
///
/// A burst touches a little of many places for the first time. With transparent huge pages the kernel clears two MiB for
/// each of them, which took more processor time than all the rest of the burst. The setting is inherited by processes
/// that are started, the tasks of the local launcher among them.
///
/// Source: <https://man7.org/linux/man-pages/man2/PR_SET_THP_DISABLE.2const.html>.
pub fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        // Slower bursts are all that comes of it.
        tracing::debug!(%error, "could not request small memory pages");
    }
}
