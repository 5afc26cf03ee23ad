//! Buffers compared with a plain `Vec` as their model, and their reuse.

use std::io::Write;

use proptest::prelude::*;

use super::{on_worker, pattern};
use crate::worker::{BUFFER_BYTES, Buffer, BufferSize, LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES, Worker, run};

fn fill_to_the_brim(buffer: &mut Buffer) {
    let room = buffer.spare_mut().len();
    buffer.spare_mut().fill(b'x');
    buffer.commit(room);
}

#[test]
fn room_is_made_by_moving_then_by_growing_up_to_the_limit() {
    on_worker(|worker| async move {
        let mut buffer = worker.buffer_of(BufferSize::Medium);
        assert!(buffer.is_empty() && buffer.spare_mut().len() == BUFFER_BYTES);
        fill_to_the_brim(&mut buffer);
        assert!(!buffer.reserve(BUFFER_BYTES), "full, and may not grow");
        assert!(!buffer.reserve(0));
        buffer.consume(10);
        assert!(buffer.reserve(BUFFER_BYTES), "moving made room");
        assert_eq!(buffer.spare_mut().len(), 10);
        assert_eq!(buffer.unread().len(), BUFFER_BYTES - 10);
        fill_to_the_brim(&mut buffer);
        assert!(buffer.reserve(BUFFER_BYTES + 1));
        assert_eq!(buffer.spare_mut().len(), 1, "no further than the limit");
        fill_to_the_brim(&mut buffer);
        assert!(buffer.reserve(usize::MAX));
        assert_eq!(buffer.unread().len(), BUFFER_BYTES + 1);
        assert_eq!(buffer.spare_mut().len(), LARGE_BUFFER_BYTES - BUFFER_BYTES - 1, "the next size");
        fill_to_the_brim(&mut buffer);
        assert!(buffer.reserve(usize::MAX));
        assert_eq!(buffer.spare_mut().len(), LARGE_BUFFER_BYTES, "doubled");
    });
}

#[test]
fn what_was_consumed_is_room_before_anything_grows() {
    on_worker(|worker| async move {
        let mut buffer = worker.buffer();
        fill_to_the_brim(&mut buffer);
        buffer.consume(SMALL_BUFFER_BYTES - 3);
        buffer.extend(&pattern(SMALL_BUFFER_BYTES - 3));
        assert_eq!(buffer.unread().len(), SMALL_BUFFER_BYTES);
        assert!(buffer.spare_mut().is_empty(), "it has not grown");
        assert_eq!(buffer.unread()[3..], pattern(SMALL_BUFFER_BYTES - 3));
    });
}

#[test]
fn buffers_of_all_sizes_go_round_empty() {
    on_worker(|worker| async move {
        for size in [BufferSize::Small, BufferSize::Medium, BufferSize::Large] {
            let mut first = worker.buffer_of(size);
            let place = first.spare_mut().as_ptr();
            first.extend(b"secret");
            drop(first);
            let mut again = worker.buffer_of(size);
            assert_eq!(again.spare_mut().as_ptr(), place);
            assert!(again.is_empty() && again.unread().is_empty());
            let mut other = worker.buffer_of(size);
            assert_ne!(other.spare_mut().as_ptr(), place);
            assert_eq!(other.spare_mut().len(), size.bytes());
            let many: Vec<_> = (0..1000).map(|_| worker.buffer_of(size)).collect();
            drop((again, other, many));
            assert_eq!(
                worker.inner.buffers.kept(size),
                1024 * 1024 / size.bytes(),
                "and there is an end to it"
            );
        }
    });
}

#[test]
fn what_grows_gives_back_what_it_had_and_what_grew_out_of_all_sizes_is_not_kept() {
    on_worker(|worker| async move {
        let kept = |size| worker.inner.buffers.kept(size);
        let mut buffer = worker.buffer();
        buffer.extend(&pattern(BUFFER_BYTES));
        assert_eq!((kept(BufferSize::Small), kept(BufferSize::Medium)), (1, 0));
        assert!(buffer.spare_mut().is_empty() && buffer.unread() == pattern(BUFFER_BYTES));
        drop(buffer);
        assert_eq!(kept(BufferSize::Medium), 1);
        let mut buffer = worker.buffer();
        buffer.extend(&pattern(LARGE_BUFFER_BYTES + 1));
        drop(buffer);
        assert_eq!([kept(BufferSize::Small), kept(BufferSize::Medium), kept(BufferSize::Large)], [1, 1, 0]);
    });
}

/// The assertions stop the program if another part of it is wrong, so that no byte of an earlier connection
/// is shown.
#[test]
fn counts_that_cannot_be_are_refused() {
    let wrong: [fn(&mut Buffer); 4] = [
        |buffer| buffer.consume(4),
        |buffer| buffer.consume(usize::MAX),
        |buffer| buffer.commit(BUFFER_BYTES),
        |buffer| buffer.commit(usize::MAX),
    ];
    for wrong in wrong {
        let result = std::panic::catch_unwind(|| {
            on_worker(move |worker| async move {
                let mut buffer = worker.buffer();
                buffer.extend(b"four");
                buffer.consume(1);
                wrong(&mut buffer);
            });
        });
        let panic = result.unwrap_err();
        assert!(panic.downcast_ref::<&str>().is_some_and(|message| message.starts_with("invariant: ")));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize, usize),
    Extend(usize),
    Write(usize),
    Consume(usize),
    Change(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![0..50_usize, 0..3 * BUFFER_BYTES];
    prop_oneof![
        (size(), size()).prop_map(|(bytes, most)| Step::Read(bytes, most)),
        size().prop_map(Step::Extend),
        size().prop_map(Step::Write),
        size().prop_map(Step::Consume),
        size().prop_map(Step::Change),
    ]
}

fn play(worker: &Worker, steps: &[Step]) {
    let (mut buffer, mut model) = (worker.buffer(), Vec::<u8>::new());
    for (number, step) in steps.iter().enumerate() {
        let fresh = |count: usize| pattern(number + count)[number..].to_vec();
        match *step {
            Step::Read(bytes, most) => {
                let before = model.len();
                if buffer.reserve(most) {
                    assert!(!buffer.spare_mut().is_empty(), "room was promised");
                    let bytes = fresh(bytes.min(buffer.spare_mut().len()));
                    buffer.spare_mut()[..bytes.len()].copy_from_slice(&bytes);
                    buffer.commit(bytes.len());
                    model.extend(bytes);
                } else {
                    assert!(before >= most, "there was room, or it might have grown");
                }
            }
            Step::Extend(bytes) => {
                buffer.extend(&fresh(bytes));
                model.extend(fresh(bytes));
            }
            Step::Write(bytes) => {
                buffer.write_all(&fresh(bytes)).unwrap();
                model.extend(fresh(bytes));
            }
            Step::Consume(bytes) => {
                let bytes = bytes.min(model.len());
                buffer.consume(bytes);
                model.drain(..bytes);
            }
            Step::Change(at) => {
                if let Some(byte) = model.get_mut(at) {
                    *byte = !*byte;
                    buffer.unread_mut()[at] = *byte;
                }
            }
        }
        assert!(buffer.unread() == model);
        assert_eq!(buffer.is_empty(), model.is_empty());
    }
}

proptest! {
    #[test]
    fn a_buffer_is_as_a_vec(steps in proptest::collection::vec(step(), 1..40)) {
        run(|worker| async move { play(&worker, &steps) }).unwrap();
    }
}
