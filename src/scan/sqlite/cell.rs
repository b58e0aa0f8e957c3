//! What on one page of a database goes on in another. Reads bytes that may be anything.

/// The cells of a page whose row goes on in another page: where the part here begins, its length, the
/// next page. `None` when it is no page of a b-tree with rows.
pub(super) fn cells(page: &[u8], header: usize) -> Option<Vec<(usize, usize, u32)>> {
    let (is_table, is_leaf) = match page.get(header)? {
        0x0d => (true, true),
        0x0a => (false, true),
        0x02 => (false, false),
        _ => return None,
    };
    let count = usize::from(word(page, header + 3)?);
    let pointers = header + if is_leaf { 8 } else { 12 };
    let mut found = Vec::new();
    for cell in 0..count {
        let Some(start) = word(page, pointers + 2 * cell) else {
            break;
        };
        let start = usize::from(start) + if is_leaf { 0 } else { 4 };
        found.extend(continued_cell(page, start, is_table));
    }
    Some(found)
}

fn continued_cell(page: &[u8], start: usize, is_table: bool) -> Option<(usize, usize, u32)> {
    let used = page.len();
    let (payload, mut at) = varint(page, start)?;
    if is_table {
        at = varint(page, at)?.1;
    }
    let payload = usize::try_from(payload).ok()?;
    let most = if is_table {
        used - 35
    } else {
        (used - 12) * 64 / 255 - 23
    };
    if payload <= most {
        return None;
    }
    let least = (used - 12) * 32 / 255 - 23;
    let wanted = least + (payload - least) % (used - 4);
    let here = if wanted <= most { wanted } else { least };
    let next = page.get(at + here..)?.first_chunk()?;
    Some((at, here, u32::from_be_bytes(*next)))
}

/// Free blocks of a page, each perhaps a deleted cell that ended with the number of the next page.
pub(super) fn free_blocks(page: &[u8], header: usize) -> Vec<(usize, usize, u32)> {
    let mut found = Vec::new();
    let mut at = 0;
    if !matches!(page.get(header), Some(0x0d | 0x0a | 0x02)) {
        return found;
    }
    let mut next = word(page, header + 1);
    // They are in order, so this ends.
    while let Some(block) = next.map(usize::from).filter(|block| *block > at) {
        at = block;
        let size = usize::from(word(page, block + 2).unwrap_or(0));
        if let Some(number) = page.get(block..block + size).and_then(<[u8]>::last_chunk)
            && size > 8
        {
            found.push((block + 4, size - 8, u32::from_be_bytes(*number)));
        }
        next = word(page, block);
    }
    found
}

fn word(page: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*page.get(at..)?.first_chunk()?))
}

/// A number of one to nine bytes, and where it ends.
fn varint(page: &[u8], start: usize) -> Option<(u64, usize)> {
    let mut number = 0u64;
    for at in start..start + 8 {
        let byte = *page.get(at)?;
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, at + 1));
        }
    }
    Some((number << 8 | u64::from(*page.get(start + 8)?), start + 9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_one_to_nine_bytes() {
        for (bytes, number) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0x81, 0x00], 128),
            (&[0xff; 9], u64::MAX),
        ] {
            assert_eq!(varint(bytes, 0), Some((number, bytes.len())));
            assert_eq!(varint(&bytes[..bytes.len() - 1], 0), None);
        }
    }

    proptest! {
        #[test]
        fn no_page_leads_out_of_itself(
            kind in prop_oneof![Just(0x0d), Just(0x0a), Just(0x02), any::<u8>()],
            mut page in proptest::collection::vec(any::<u8>(), 480..1200),
            header in prop_oneof![Just(0usize), Just(100)],
        ) {
            page[header] = kind;
            for (start, len, _) in cells(&page, header).into_iter().flatten().chain(free_blocks(&page, header)) {
                prop_assert!(start + len <= page.len());
            }
        }
    }
}
