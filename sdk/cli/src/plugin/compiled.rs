//! What was compiled once, kept for the next command: a component with a language's engine in it
//! takes tens of seconds to compile, and is run many times while it is written.

use std::cmp::Reverse;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Every build of such a component leaves some 40 MB of native code.
const KEPT: usize = 12;

/// This user's directory, after what was not used for longest has gone; `None` where there is none.
#[expect(
    clippy::disallowed_methods,
    reason = "a tool's caches are where the user's environment says, and it has no configuration"
)]
pub(crate) fn dir() -> Option<PathBuf> {
    let caches = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| Some(env::home_dir()?.join(".cache")))?;
    let dir = caches.join("petrel").join("compiled");
    make_room(&dir, KEPT);
    Some(dir)
}

fn make_room(dir: &Path, kept: usize) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let made = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
    let mut files: Vec<(Option<SystemTime>, PathBuf)> = entries
        .flatten()
        .map(|entry| (made(&entry.path()), entry.path()))
        .collect();
    files.sort_by_key(|(made, _)| Reverse(*made));
    for (_, file) in files.into_iter().skip(kept) {
        // Another command may have been faster.
        fs::remove_file(file).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_stay() {
        let dir = tempfile::tempdir().unwrap();
        for age in [3, 1, 2] {
            let file = File::create(dir.path().join(age.to_string())).unwrap();
            let made = SystemTime::UNIX_EPOCH + Duration::from_secs(9 - age);
            file.set_modified(made).unwrap();
        }
        make_room(dir.path(), 2);
        let left = |age: &str| dir.path().join(age).exists();
        assert_eq!(["1", "2", "3"].map(left), [true, true, false]);
        make_room(&dir.path().join("nowhere"), 2);
    }
}
