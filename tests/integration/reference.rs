use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};
use rstest::rstest;
use sockdrill::profile::{Profile, Reply};
use sockdrill::servers::{self, Running};
