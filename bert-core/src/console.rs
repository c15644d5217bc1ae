//! Standard error: what a user is told besides the results.

use std::fmt::Arguments;
use std::io::Write;

/// As `eprintln!`, but that nobody reads there any more, or that its disk is full, does not end what is being done.
#[macro_export]
macro_rules! tell {
    ($($argument:tt)*) => {
        $crate::console::tell(format_args!($($argument)*))
    };
}

/// Writes a line to standard error, if that can be; for [`tell!`](crate::tell).
pub fn tell(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
