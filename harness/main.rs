//! The program: all of it is `sockdrill::cli`.

fn main() {
    std::process::exit(sockdrill::cli::main());
}
