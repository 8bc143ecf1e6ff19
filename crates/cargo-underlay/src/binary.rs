//! The declarations in an object file: an executable, a library, an object, or an archive of objects.
//!
//! Reads ELF, Mach-O (also with several architectures) and PE/COFF. No code of the file runs. Does not know where the
//! file comes from, nor what the declarations mean.

use std::{fs::File, io::BufReader, path::Path};

use object::{
    FileKind, Object, ObjectSection, ReadCache, ReadRef,
    read::{
        archive::ArchiveFile,
        macho::{FatArch, MachOFatFile32, MachOFatFile64},
    },
};
use underlay_model::{
    Declaration, Problem,
    fragment::{SECTION, SECTION_MACH_O, parse_section},
};

use crate::failure::Failure;

/// What a file says of declarations.
#[derive(Debug, PartialEq)]
pub(crate) enum Content {
    /// It has at least one section with declarations; these are they.
    Declarations(Vec<Declaration>),
    /// It has no such section: nothing is declared in it.
    NoSection,
    /// Some of its code is LLVM bitcode, as under link-time optimisation: nobody can say what is declared in it.
    Bitcode,
}

/// Reads the declarations in a file.
///
/// # Errors
///
/// When the file cannot be read, is no object file, is damaged, or holds fragments that this version cannot read; the
/// last all at once.
pub(crate) fn read(path: &Path) -> Result<Content, Failure> {
    let file = File::open(path).map_err(|error| Failure::io("read", path, &error))?;
    let metadata = file
        .metadata()
        .map_err(|error| Failure::io("read", path, &error))?;
    if !metadata.is_file() {
        return Err(Failure::error(format!(
            "{} is not a file; name a binary",
            path.display()
        )));
    }
    let cache = ReadCache::new(BufReader::new(file));
    let mut reading = Reading::default();
    reading.image(&cache).map_err(|error| {
        Failure::error(match error {
            Unreadable::Kind => {
                format!("{} is not an ELF, Mach-O or PE file; name a binary that rustc has linked", path.display())
            }
            Unreadable::Damaged(error) => {
                format!("{} is damaged: {}; build it again", path.display(), lower_first(&error))
            }
            Unreadable::Differing => format!(
                "{} declares one thing for one architecture and another for another; build all of them from the same \
                 source",
                path.display()
            ),
        })
    })?;
    if !reading.problems.is_empty() {
        let hint = "was it built with another version of underlay?";
        return Err(Failure::problems(
            reading
                .problems
                .iter()
                .map(|problem| Problem::error(format!("{}: {problem}; {hint}", path.display()), []))
                .collect(),
        ));
    }
    Ok(match reading {
        Reading { bitcode: true, .. } => Content::Bitcode,
        Reading { sections: 0, .. } => Content::NoSection,
        Reading { declarations, .. } => Content::Declarations(declarations),
    })
}

#[derive(Debug)]
enum Unreadable {
    Kind,
    Damaged(String),
    Differing,
}

impl From<object::Error> for Unreadable {
    fn from(error: object::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

#[derive(Default)]
struct Reading {
    sections: usize,
    bitcode: bool,
    declarations: Vec<Declaration>,
    problems: Vec<String>,
}

impl Reading {
    fn image<'data>(&mut self, data: impl ReadRef<'data>) -> Result<(), Unreadable> {
        let kind = match FileKind::parse(data) {
            Ok(kind) => kind,
            Err(_) if is_bitcode(data) => {
                self.bitcode = true;
                return Ok(());
            }
            Err(_) => return Err(Unreadable::Kind),
        };
        match kind {
            FileKind::Archive => {
                for member in ArchiveFile::parse(data)?.members() {
                    let member = member?;
                    // The compiler's own metadata, and whatever `#[link(bundle)]` put beside the objects.
                    if member.name() == b"lib.rmeta" {
                        continue;
                    }
                    match self.image(member.data(data)?) {
                        Err(Unreadable::Kind) => {}
                        outcome => outcome?,
                    }
                }
            }
            FileKind::MachOFat32 => {
                self.architectures(data, MachOFatFile32::parse(data)?.arches())?
            }
            FileKind::MachOFat64 => {
                self.architectures(data, MachOFatFile64::parse(data)?.arches())?
            }
            _ => self.object(&object::File::parse(data)?)?,
        }
        Ok(())
    }

    /// All architectures of one file declare the same, so the first speaks for all.
    fn architectures<'data>(
        &mut self,
        data: impl ReadRef<'data>,
        architectures: &[impl FatArch],
    ) -> Result<(), Unreadable> {
        let mut first: Option<Self> = None;
        for architecture in architectures {
            let mut reading = Self::default();
            reading.image(architecture.data(data)?)?;
            match &first {
                None => first = Some(reading),
                Some(first) if first.same(&reading) => {}
                Some(_) => return Err(Unreadable::Differing),
            }
        }
        if let Some(first) = first {
            self.sections += first.sections;
            self.bitcode |= first.bitcode;
            self.declarations.extend(first.declarations);
            self.problems.extend(first.problems);
        }
        Ok(())
    }

    /// Whether two readings declare the same, in any order.
    fn same(&self, other: &Self) -> bool {
        self.problems == other.problems
            && self.declarations.len() == other.declarations.len()
            && self
                .declarations
                .iter()
                .all(|it| other.declarations.contains(it))
    }

    fn object<'data>(&mut self, file: &impl Object<'data>) -> Result<(), Unreadable> {
        for section in file.sections() {
            let name = section.name_bytes()?;
            if name == SECTION.as_bytes() || name == SECTION_MACH_O.as_bytes() {
                self.sections += 1;
                let data = section.data()?;
                match parse_section(data) {
                    Ok(declarations)
                        if declarations.is_empty() && data.iter().any(|it| *it != 0) =>
                    {
                        self.problems.push(format!(
                            "the section `{SECTION}` has {} bytes but holds no declaration",
                            data.len()
                        ));
                    }
                    Ok(declarations) => self.declarations.extend(declarations),
                    Err(problems) => self.problems.extend(problems),
                }
            }
        }
        Ok(())
    }
}

/// Whether a file is LLVM bitcode, bare or in its wrapper.
fn is_bitcode<'data>(data: impl ReadRef<'data>) -> bool {
    data.read_bytes_at(0, 4)
        .is_ok_and(|magic| matches!(magic, b"BC\xC0\xDE" | b"\xDE\xC0\x17\x0B"))
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use object::{
        Architecture, BinaryFormat, Endianness, SectionKind, pe,
        write::{
            Object as Writer,
            pe::{NtHeaders, Writer as PeWriter},
        },
    };
    use underlay_model::{fragment::encode, model::Application};

    use super::*;

    fn declaration(name: &str) -> Declaration {
        Declaration::Application(Application {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
        })
    }

    fn section(names: &[&str]) -> Vec<u8> {
        names
            .iter()
            .flat_map(|name| [encode(&declaration(name)), vec![0; 5]].concat())
            .collect()
    }

    fn object(format: BinaryFormat, architecture: Architecture, section: Option<&[u8]>) -> Vec<u8> {
        let mut writer = Writer::new(format, architecture, Endianness::Little);
        let (segment, name) = match format {
            BinaryFormat::MachO => (b"__DATA".to_vec(), SECTION_MACH_O),
            _ => (Vec::new(), SECTION),
        };
        let code = writer.add_section(segment.clone(), b"__other".to_vec(), SectionKind::Data);
        writer.append_section_data(code, b"UNDRLAY\x01 is elsewhere, too", 8);
        if let Some(section) = section {
            let id =
                writer.add_section(segment, name.as_bytes().to_vec(), SectionKind::ReadOnlyData);
            writer.append_section_data(id, section, 1);
        }
        writer.write().unwrap()
    }

    /// A Windows executable with one section.
    fn portable_executable(section: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = PeWriter::new(true, 0x1000, 0x200, &mut bytes);
        writer.reserve_dos_header_and_stub();
        writer.reserve_nt_headers(16);
        writer.reserve_section_headers(1);
        let flags = pe::IMAGE_SCN_CNT_INITIALIZED_DATA | pe::IMAGE_SCN_MEM_READ;
        let name = SECTION.as_bytes().try_into().unwrap();
        let size = section.len() as u32;
        let range = writer.reserve_section(name, flags, size, size);
        writer.write_dos_header_and_stub().unwrap();
        writer.write_nt_headers(NtHeaders {
            machine: pe::IMAGE_FILE_MACHINE_AMD64,
            time_date_stamp: 0,
            characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE,
            major_linker_version: 0,
            minor_linker_version: 0,
            address_of_entry_point: 0x1000,
            image_base: 0x1_4000_0000,
            major_operating_system_version: 6,
            minor_operating_system_version: 0,
            major_image_version: 0,
            minor_image_version: 0,
            major_subsystem_version: 6,
            minor_subsystem_version: 0,
            subsystem: pe::IMAGE_SUBSYSTEM_WINDOWS_CUI,
            dll_characteristics: pe::DllFlags(0),
            size_of_stack_reserve: 0,
            size_of_stack_commit: 0,
            size_of_heap_reserve: 0,
            size_of_heap_commit: 0,
        });
        writer.write_section_headers();
        writer.write_section(range.file_offset, section);
        bytes
    }

    /// A Mach-O file for several architectures.
    fn fat(slices: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut bytes: Vec<u8> = [0xcafe_babe_u32, slices.len() as u32]
            .iter()
            .flat_map(|it| it.to_be_bytes())
            .collect();
        let mut offset = 4096;
        for (cpu, slice) in slices {
            for word in [*cpu, 0, offset, slice.len() as u32, 12] {
                bytes.extend(word.to_be_bytes());
            }
            offset += (slice.len() as u32).next_multiple_of(4096);
        }
        for (_, slice) in slices {
            bytes.resize(bytes.len().next_multiple_of(4096), 0);
            bytes.extend(slice);
        }
        bytes
    }

    fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = b"!<arch>\n".to_vec();
        for (name, data) in members {
            let header = format!(
                "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                format!("{name}/"),
                0,
                0,
                0,
                644,
                data.len()
            );
            bytes.extend(header.as_bytes());
            bytes.extend(data);
            if bytes.len() % 2 == 1 {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> (PathBuf, Result<Content, Failure>) {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("underlay-binary-{}-{count}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let content = read(&path);
        std::fs::remove_file(&path).unwrap();
        (path, content)
    }

    fn check(bytes: &[u8], expected: Content) {
        assert_eq!(read_bytes(bytes).1.unwrap(), expected);
    }

    fn check_error(bytes: &[u8], expected: &[&str]) {
        let (path, content) = read_bytes(bytes);
        let messages: Vec<_> = content
            .unwrap_err()
            .problems
            .into_iter()
            .map(|it| it.message)
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|it| format!("{}{it}", path.display()))
            .collect();
        assert_eq!(messages, expected);
    }

    fn declares(names: &[&str]) -> Content {
        Content::Declarations(names.iter().map(|name| declaration(name)).collect())
    }

    const FORMATS: [(BinaryFormat, Architecture); 5] = [
        (BinaryFormat::Elf, Architecture::X86_64),
        (BinaryFormat::Elf, Architecture::Arm),
        (BinaryFormat::MachO, Architecture::Aarch64),
        (BinaryFormat::MachO, Architecture::X86_64),
        (BinaryFormat::Coff, Architecture::X86_64),
    ];

    #[test]
    fn every_format_is_read() {
        for (format, architecture) in FORMATS {
            let section = section(&["a", "b"]);
            check(
                &object(format, architecture, Some(&section)),
                declares(&["a", "b"]),
            );
            check(&object(format, architecture, Some(&[])), declares(&[]));
            check(&object(format, architecture, None), Content::NoSection);
        }
        check(
            &portable_executable(&section(&["a", "b"])),
            declares(&["a", "b"]),
        );
    }

    #[test]
    fn architectures_of_one_file_must_agree() {
        let arm = object(
            BinaryFormat::MachO,
            Architecture::Aarch64,
            Some(&section(&["a", "b"])),
        );
        let intel = object(
            BinaryFormat::MachO,
            Architecture::X86_64,
            Some(&section(&["b", "a"])),
        );
        check(
            &fat(&[(0x0100_000c, arm.clone()), (0x0100_0007, intel)]),
            declares(&["a", "b"]),
        );
        let other = object(
            BinaryFormat::MachO,
            Architecture::X86_64,
            Some(&section(&["b"])),
        );
        check_error(
            &fat(&[(0x0100_000c, arm), (0x0100_0007, other)]),
            &[
                " declares one thing for one architecture and another for another; build all of them from the same \
               source",
            ],
        );
    }

    #[test]
    fn libraries_are_archives_of_objects() {
        let elf = |names: &[&str]| {
            object(
                BinaryFormat::Elf,
                Architecture::X86_64,
                Some(&section(names)),
            )
        };
        let text = b"not an object".to_vec();
        check(
            &archive(&[
                ("lib.rmeta", elf(&["metadata"])),
                ("a.o", elf(&["a"])),
                ("note", text),
                ("b.o", elf(&["b"])),
            ]),
            declares(&["a", "b"]),
        );
        check(&archive(&[("lib.rmeta", elf(&[]))]), Content::NoSection);
        check(
            &archive(&[
                ("a.o", elf(&["a"])),
                ("b.o", b"BC\xC0\xDE\0\0\0\0".to_vec()),
            ]),
            Content::Bitcode,
        );
        check(b"BC\xC0\xDE\0\0\0\0", Content::Bitcode);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let elf = object(
            BinaryFormat::Elf,
            Architecture::X86_64,
            Some(&section(&["a"])),
        );
        for bytes in [&b""[..], b"#!/bin/sh\necho", &[0; 4096], b"\x7fEL"] {
            check_error(
                bytes,
                &[" is not an ELF, Mach-O or PE file; name a binary that rustc has linked"],
            );
        }
        for len in [20, 64, 200, elf.len() - 1] {
            let messages = read_bytes(&elf[..len]).1.unwrap_err().problems;
            assert_eq!(messages.len(), 1);
            assert!(
                messages[0].message.contains(" is damaged: "),
                "{len}: {}",
                messages[0].message
            );
        }
        let outcome = read(Path::new("/nonexistent/shop")).unwrap_err().problems;
        assert_eq!(
            outcome[0].message,
            "cannot read /nonexistent/shop: No such file or directory"
        );
        let outcome = read(&std::env::temp_dir()).unwrap_err().problems;
        assert!(
            outcome[0]
                .message
                .ends_with(" is not a file; name a binary"),
            "{}",
            outcome[0].message
        );
    }

    #[test]
    fn every_bad_fragment_is_said() {
        let good = encode(&declaration("a"));
        let mut length = good.clone();
        length[8] += 1;
        let cut = &good[..good.len() - 3];
        let section = [&length[..], &good, cut].concat();
        let (_, content) = read_bytes(&object(
            BinaryFormat::Elf,
            Architecture::X86_64,
            Some(&section),
        ));
        let problems = content.unwrap_err().problems;
        assert_eq!(problems.len(), 2, "{problems:?}");
        for problem in problems {
            assert!(
                problem
                    .message
                    .ends_with("; was it built with another version of underlay?"),
                "{problem}"
            );
        }
        check_error(
            &object(BinaryFormat::Elf, Architecture::X86_64, Some(b"garbage")),
            &[
                ": the section `.undrlay` has 7 bytes but holds no declaration; was it built with another version of \
               underlay?",
            ],
        );
    }
}
