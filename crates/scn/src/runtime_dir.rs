//! The folder of the user's session, which Mesa's Vulkan layer asks for to find out on which card the desktop is.

use std::env;

/// libwayland prints an error, before anything that the program says, where the variable is not set, as in containers
/// and over ssh. An existing folder without a socket of Wayland's means the same and is silent.
///
/// Call it before there is a second thread.
pub(crate) fn settle() {
    const VARIABLE: &str = "XDG_RUNTIME_DIR";
    let absolute = env::var_os(VARIABLE).is_some_and(|folder| std::path::Path::new(&folder).is_absolute());
    if cfg!(target_os = "linux") && !absolute {
        // SAFETY: no other thread reads or writes the environment yet.
        unsafe { env::set_var(VARIABLE, env::temp_dir()) };
    }
}
