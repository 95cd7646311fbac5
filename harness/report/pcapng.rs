//! What clients have sent and received as a pcapng file, which Wireshark and tshark open.
//!
//! Nothing is captured for it: the packets are made of a transcript, and the file says so. A packet is what one call has sent
//! or read, at its time, with the step of the scenario as its comment.

use super::packets::{Packet, packets};
use crate::foreign::TERMINAL;
use crate::model::scenario::Scenario;
use crate::model::trial::Trial;
use crate::transcript::event::Transcript;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};
use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

/// Packets of IP, with nothing in front of them.
const RAW: DataLink = DataLink::RAW;

/// Times are in nanoseconds: so many digits behind the point.
const NANOSECONDS: u8 = 9;

/// No comment is longer, of which a block counts the bytes in sixteen bits.
const LONGEST_COMMENT: usize = 4_000;

const WHERE_FROM: &str = "Made by sockdrill from what its clients sent and received; not captured from a wire. A packet is what one \
                          call has sent or read, at the time of that call: what the network made of it is not known.";

/// The file of a trial and what was seen of it. `file` is the scenario as a file has it that stands beside it: comments have its
/// lines.
///
/// # Errors
/// A packet cannot be written down.
pub(crate) fn pcapng(
    trial: &Trial,
    transcript: &Transcript,
    file: &Scenario,
) -> Result<Vec<u8>, PcapError> {
    let made = packets(trial, transcript, file);
    let mut remarks = vec![WHERE_FROM.to_owned()];
    remarks.extend(made.remarks);
    if transcript.began.is_none() {
        remarks.push("The clock of the host was not looked at: times begin at 1970.".to_owned());
    }
    let section = SectionHeaderBlock {
        endianness: Endianness::Little,
        options: vec![
            SectionHeaderOption::Comment(comment(&remarks.join("\n")).into()),
            SectionHeaderOption::UserApplication(
                concat!("sockdrill ", env!("CARGO_PKG_VERSION")).into(),
            ),
        ],
        ..SectionHeaderBlock::default()
    };
    let mut writer = PcapNgWriter::with_section_header(Vec::new(), section)?;
    writer.write_pcapng_block(InterfaceDescriptionBlock {
        linktype: RAW,
        // No bound: what is cut is cut for what is known of it.
        snaplen: 0,
        options: vec![
            InterfaceDescriptionOption::IfName("sockdrill".into()),
            InterfaceDescriptionOption::IfDescription(
                "made from what clients sent and received, not captured from a wire".into(),
            ),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ],
    })?;
    let began = transcript.began.unwrap_or(UNIX_EPOCH);
    let began = began.duration_since(UNIX_EPOCH).unwrap_or_default();
    for packet in &made.packets {
        writer.write_pcapng_block(block(began, packet))?;
    }
    Ok(writer.into_inner())
}

fn block(began: Duration, packet: &Packet) -> EnhancedPacketBlock<'_> {
    let all = packet.comments.join("\n");
    let comment = (!all.is_empty()).then(|| EnhancedPacketOption::Comment(comment(&all).into()));
    EnhancedPacketBlock {
        interface_id: 0,
        timestamp: began + packet.at,
        original_len: packet.original_bytes as u32,
        data: Cow::Borrowed(&packet.bytes),
        options: comment.into_iter().collect(),
    }
}

/// A text as a comment has room for it.
fn comment(text: &str) -> String {
    let harmless = TERMINAL.text(text);
    match harmless.char_indices().nth(LONGEST_COMMENT) {
        Some((end, _)) => format!("{}…", &harmless[..end]),
        None => harmless.into_owned(),
    }
}
