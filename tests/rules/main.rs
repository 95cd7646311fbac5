//! The rules of the repository, and what is written for programs: all that takes seconds and no installed server.

#[path = "../kit.rs"]
mod kit;

/// The checks that there are, their permanent ids, and the page that lists them.
mod catalogue;
/// The handbook has all of its pages, and no link of it leads nowhere.
mod handbook;
/// What is made of the tables of the language.
mod language;
/// The crate keeps the order of modules that it declares, and a `mod.rs` is a roof.
mod layers;
/// The pages for contributors, and the package, have all that there is.
mod repository;
/// What is written for programs is as the published schemas say.
mod schema;
