//! [`Kept`]: things that are found while rows are built and have to outlive the columns that borrow
//! from them.

use std::cell::OnceCell;

/// A list that grows behind what was already borrowed from it.
#[derive(Debug)]
pub(super) struct Kept<T> {
    first: Link<T>,
}

type Link<T> = OnceCell<Box<Node<T>>>;

#[derive(Debug)]
struct Node<T> {
    value: T,
    next: Link<T>,
}

/// The end of a list.
#[derive(Debug)]
pub(super) struct Adding<'k, T> {
    end: &'k Link<T>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { first: Link::new() }
    }
}

impl<T> Kept<T> {
    pub(super) fn adding(&self) -> Adding<'_, T> {
        Adding { end: &self.first }
    }
}

impl<'k, T> Adding<'k, T> {
    pub(super) fn add(&mut self, value: T) -> &'k T {
        let node = self.end.get_or_init(|| {
            Box::new(Node {
                value,
                next: Link::new(),
            })
        });
        self.end = &node.next;
        &node.value
    }
}

impl<T> Drop for Kept<T> {
    /// One after the other: a list that drops itself needs a stack as deep as it is long.
    fn drop(&mut self) {
        let mut next = self.first.take();
        while let Some(mut node) = next {
            next = node.next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_stays_where_it_is_and_a_long_list_can_be_dropped() {
        let kept = Kept::default();
        let mut adding = kept.adding();
        let values: Vec<&String> = (0..1_000_000).map(|n| adding.add(n.to_string())).collect();
        for (number, value) in values.into_iter().enumerate() {
            assert_eq!(*value, number.to_string());
        }
    }
}
