//! The pickles in which PyTorch describes tensors, read by a machine that only knows how to do that.
//!
//! A pickle is a program: general readers run whatever functions it names. This one knows four names, those that
//! `torch.save` puts into a dictionary of tensors, and refuses a file that calls another. Objects live in one list and
//! refer to each other by index, so that nesting, however deep, costs no stack. The length of a program and the number
//! of its objects are limited.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

/// Some ten thousand tensors take less.
const LONGEST_PROGRAM: u64 = 1 << 24;
const MOST_OBJECTS: usize = 1 << 18;
/// What is copied from object to object is kept short: names, and the axes of a tensor.
const LONGEST_NAME: usize = 256;
const MOST_AXES: usize = 8;

type Index = usize;

/// What a program has made.
#[derive(Debug)]
enum Object {
    /// Of a kind that no tensor needs.
    Other,
    Mark,
    Integer(i64),
    Text(String),
    List(Vec<Index>),
    Tuple(Vec<Index>),
    Dictionary(Vec<(Index, Index)>),
    /// A module and a name in it.
    Global(Box<[String; 2]>),
    Storage(Box<Storage>),
    Tensor(Box<TensorView>),
}

/// A run of elements somewhere in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    /// The class in `torch`, such as `FloatStorage`.
    pub(super) class: String,
    /// Its name in the file.
    pub(super) key: String,
    /// The number of elements.
    pub(super) elements: u64,
}

/// A tensor as a view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorView {
    pub(super) storage: Storage,
    /// The first element.
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// A program that was run.
pub(super) struct Pickle {
    objects: Vec<Object>,
    result: Index,
    /// Its length in bytes.
    pub(super) length: u64,
}

impl Pickle {
    /// Runs the program at the start of `reader`.
    ///
    /// # Errors
    /// A message where it is cut short, too long, malformed, or does more than describe tensors.
    pub(super) fn run(reader: impl Read) -> Result<Self, String> {
        let mut machine = Machine {
            reader,
            length: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            memo: HashMap::new(),
        };
        while !machine.step()? {}
        let result = machine.pop()?;
        Ok(Self {
            objects: machine.objects,
            result,
            length: machine.length,
        })
    }

    /// The tensors of a dictionary by name, the last of each; entries of other kinds are left out.
    ///
    /// # Errors
    /// A message where the result is no dictionary.
    pub(super) fn tensors(&self) -> Result<BTreeMap<&str, &TensorView>, String> {
        let Object::Dictionary(entries) = &self.objects[self.result] else {
            return Err("it holds no dictionary of tensors".into());
        };
        let named = entries.iter().filter_map(|&(key, value)| {
            match (&self.objects[key], &self.objects[value]) {
                (Object::Text(name), Object::Tensor(view)) => Some((name.as_str(), &**view)),
                _ => None,
            }
        });
        Ok(named.collect())
    }

    /// The strings of a list, in order.
    ///
    /// # Errors
    /// A message where the result is something else.
    pub(super) fn strings(&self) -> Result<Vec<&str>, String> {
        let problem = || "it holds no list of strings".to_string();
        let Object::List(items) = &self.objects[self.result] else {
            return Err(problem());
        };
        let texts = items.iter().map(|&item| match &self.objects[item] {
            Object::Text(text) => Ok(text.as_str()),
            _ => Err(problem()),
        });
        texts.collect()
    }
}

struct Machine<R> {
    reader: R,
    length: u64,
    objects: Vec<Object>,
    stack: Vec<Index>,
    memo: HashMap<u64, Index>,
}

impl<R: Read> Machine<R> {
    /// One instruction; whether it was the last.
    fn step(&mut self) -> Result<bool, String> {
        match self.byte()? {
            // PROTO, FRAME: nothing to do.
            0x80 => drop(self.bytes(1)?),
            0x95 => drop(self.bytes(8)?),
            b'.' => return Ok(true),
            b'(' => self.push(Object::Mark)?,
            b'N' | 0x88 | 0x89 => self.push(Object::Other)?,
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let value = self.number(4)? as u32;
                self.push(Object::Integer(i64::from(value as i32)))?;
            }
            0x8a => {
                // LONG1: little-endian two's complement of any length; more than eight bytes fit no size.
                let length = self.number(1)?;
                let bytes = self.bytes(length)?;
                let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
                let mut value = [if negative { 0xff } else { 0 }; 8];
                let object = match value.get_mut(..bytes.len()) {
                    Some(low) => {
                        low.copy_from_slice(&bytes);
                        Object::Integer(i64::from_le_bytes(value))
                    }
                    None => Object::Other, // torch's magic number has ten
                };
                self.push(object)?;
            }
            b'G' => {
                self.bytes(8)?;
                self.push(Object::Other)?;
            }
            b'X' | b'T' => self.text(4)?,
            0x8c | b'U' => self.text(1)?,
            b']' => self.push(Object::List(Vec::new()))?,
            b')' => self.push(Object::Tuple(Vec::new()))?,
            b'}' => self.push(Object::Dictionary(Vec::new()))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Object::Tuple(items))?;
            }
            count @ 0x85..=0x87 => {
                let count = usize::from(count - 0x84);
                let start = self
                    .stack
                    .len()
                    .checked_sub(count)
                    .ok_or("its stack ran empty")?;
                let items = self.stack.split_off(start);
                self.push(Object::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(&[item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend_list(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dictionary(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.extend_dictionary(&items)?;
            }
            b'0' => drop(self.pop()?),
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len() as u64, top);
            }
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Object::Global(Box::new([module, name])))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Object::Text(module), Object::Text(name)) =
                    (&self.objects[module], &self.objects[name])
                else {
                    return Err("it names a function by something that is no text".into());
                };
                if module.len().max(name.len()) > LONGEST_NAME {
                    return Err("one of its names is too long".into());
                }
                let global = Object::Global(Box::new([module.clone(), name.clone()]));
                self.push(global)?;
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let object = self.call(function, arguments)?;
                self.push(object)?;
            }
            // BUILD gives an object attributes; those of torch's dictionaries hold no tensors.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Object::Storage(Box::new(storage)))?;
            }
            code => {
                return Err(format!(
                    "it has the instruction {code:#04x}, which no tensor needs"
                ));
            }
        }
        Ok(false)
    }

    /// What one of the known functions returns.
    fn call(&self, function: Index, arguments: Index) -> Result<Object, String> {
        let Object::Global(global) = &self.objects[function] else {
            return Err("it calls something that is no function".into());
        };
        let [module, name] = &**global;
        let Object::Tuple(arguments) = &self.objects[arguments] else {
            return Err(format!("it calls {module}.{name} without arguments"));
        };
        let malformed = || format!("its call of {module}.{name} is malformed");
        match (module.as_str(), name.as_str()) {
            ("collections", "OrderedDict") => {
                if !arguments.is_empty() {
                    return Err(malformed());
                }
                Ok(Object::Dictionary(Vec::new()))
            }
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
                let [storage, offset, shape, strides, ..] = arguments[..] else {
                    return Err(malformed());
                };
                let (Object::Storage(storage), Object::Integer(offset)) =
                    (&self.objects[storage], &self.objects[offset])
                else {
                    return Err(malformed());
                };
                let (shape, strides) = (self.sizes(shape), self.sizes(strides));
                let (Some(shape), Some(strides)) = (shape, strides) else {
                    return Err(malformed());
                };
                if shape.len() != strides.len() {
                    return Err(malformed());
                }
                Ok(Object::Tensor(Box::new(TensorView {
                    storage: Storage::clone(storage),
                    offset: u64::try_from(*offset).map_err(|_| malformed())?,
                    shape,
                    strides,
                })))
            }
            ("torch._utils", "_rebuild_parameter") => {
                match arguments.first().map(|&tensor| &self.objects[tensor]) {
                    Some(Object::Tensor(view)) => Ok(Object::Tensor(view.clone())),
                    _ => Err(malformed()),
                }
            }
            _ => Err(format!(
                "it calls {module}.{name}; only tensors are read, nothing is run"
            )),
        }
    }

    /// The storage that a persistent id stands for: `("storage", class, key, device, elements)`.
    fn storage(&self, id: Index) -> Result<Storage, String> {
        let malformed = || "it describes a storage in an unknown way".to_string();
        let Object::Tuple(parts) = &self.objects[id] else {
            return Err(malformed());
        };
        let [kind, class, key, _device, elements, ref view @ ..] = parts[..] else {
            return Err(malformed());
        };
        let (Object::Text(kind), Object::Global(global)) =
            (&self.objects[kind], &self.objects[class])
        else {
            return Err(malformed());
        };
        let [module, class] = &**global;
        let (Object::Text(key), Object::Integer(elements)) =
            (&self.objects[key], &self.objects[elements])
        else {
            return Err(malformed());
        };
        // Before 1.6 a storage could be a view of another; `None` says that this one is not.
        let whole = view
            .iter()
            .all(|&view| matches!(self.objects[view], Object::Other));
        if kind != "storage" || module != "torch" || !whole || key.len() > LONGEST_NAME {
            return Err(malformed());
        }
        Ok(Storage {
            class: class.clone(),
            key: key.clone(),
            elements: u64::try_from(*elements).map_err(|_| malformed())?,
        })
    }

    fn sizes(&self, tuple: Index) -> Option<Vec<usize>> {
        let Object::Tuple(items) = &self.objects[tuple] else {
            return None;
        };
        if items.len() > MOST_AXES {
            return None;
        }
        let sizes = items.iter().map(|&item| match self.objects[item] {
            Object::Integer(size) => usize::try_from(size).ok(),
            _ => None,
        });
        sizes.collect()
    }

    fn push(&mut self, object: Object) -> Result<(), String> {
        if self.objects.len() >= MOST_OBJECTS {
            return Err(format!("it makes more than {MOST_OBJECTS} objects"));
        }
        self.objects.push(object);
        self.stack.push(self.objects.len() - 1);
        Ok(())
    }

    fn integer(&mut self, bytes: usize) -> Result<(), String> {
        let value = self.number(bytes)? as i64;
        self.push(Object::Integer(value))
    }

    fn text(&mut self, length_bytes: usize) -> Result<(), String> {
        let length = self.number(length_bytes)?;
        let text = String::from_utf8(self.bytes(length)?);
        let text = text.map_err(|_| "one of its texts is not UTF-8".to_string())?;
        self.push(Object::Text(text))
    }

    fn pop(&mut self) -> Result<Index, String> {
        self.stack.pop().ok_or_else(|| "its stack ran empty".into())
    }

    fn top(&self) -> Result<Index, String> {
        let top = self.stack.last().copied();
        top.ok_or_else(|| "its stack ran empty".into())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Index>, String> {
        let is_mark = |&index: &Index| matches!(self.objects[index], Object::Mark);
        let mark = self.stack.iter().rposition(is_mark);
        let mark = mark.ok_or("a mark is missing")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn extend_list(&mut self, items: &[Index]) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.objects[top] {
            Object::List(list) => list.extend_from_slice(items),
            _ => return Err("it appends to something that is no list".into()),
        }
        Ok(())
    }

    fn extend_dictionary(&mut self, items: &[Index]) -> Result<(), String> {
        let top = self.top()?;
        let (pairs, rest) = items.as_chunks();
        match &mut self.objects[top] {
            Object::Dictionary(entries) if rest.is_empty() => {
                entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            _ => return Err("it sets items of something that is no dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, bytes: usize) -> Result<(), String> {
        let (slot, top) = (self.number(bytes)?, self.top()?);
        self.memo.insert(slot, top);
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Result<(), String> {
        let slot = self.number(bytes)?;
        let index = self.memo.get(&slot).copied();
        self.stack
            .push(index.ok_or("it recalls what it never kept")?);
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.number(1)? as u8)
    }

    /// A little-endian number of at most eight bytes.
    fn number(&mut self, bytes: usize) -> Result<u64, String> {
        let mut value = [0; 8];
        self.count(bytes as u64)?;
        let read = self.reader.read_exact(&mut value[..bytes]);
        read.map_err(|error| cut_short(&error))?;
        Ok(u64::from_le_bytes(value))
    }

    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, String> {
        self.count(length)?;
        // Grows with what is really there, not with what is claimed.
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(length).read_to_end(&mut bytes);
        match read.map_err(|error| cut_short(&error))? as u64 {
            read if read == length => Ok(bytes),
            _ => Err("it is cut short".into()),
        }
    }

    fn line(&mut self) -> Result<String, String> {
        let mut bytes = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                _ if bytes.len() == LONGEST_NAME => {
                    return Err("one of its names is too long".into());
                }
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).map_err(|_| "one of its names is not UTF-8".into())
    }

    fn count(&mut self, bytes: u64) -> Result<(), String> {
        self.length = self.length.saturating_add(bytes);
        if self.length > LONGEST_PROGRAM {
            return Err(format!("it is longer than {LONGEST_PROGRAM} bytes"));
        }
        Ok(())
    }
}

fn cut_short(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        "it is cut short".into()
    } else {
        error.to_string()
    }
}
