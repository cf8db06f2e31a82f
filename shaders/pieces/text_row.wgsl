// A row of a batch of texts: one token of one of them, at its place.

struct Row {
  slot: u32,       // whose text it is
  position: u32,   // in the slot's context
  id: i32,         // of the token
  step: u32,       // tokens that were drawn for the row before
}
