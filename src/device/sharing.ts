// Which tensors can share memory: those that never live at the same time, where that costs no barrier.

import type { Kernels } from "./kernels.ts";
import type { Dispatch } from "./schedule.ts";
import { bytesOf, type TensorSpec } from "./tensors.ts";

/** When a tensor lives, in places of the list: from its first use, a write, to its last one. */
interface Life {
  spec: TensorSpec;
  first: number;
  last: number;
}

/** A buffer of the plan: as large as the largest of its tensors, which live one after the other. */
interface Room {
  names: string[];
  bytes: number;
  last: number;
}

/**
 * Groups of tensors that can be one buffer each; every tensor of the table is in one of them. A buffer that
 * was read is written again only by a dispatch that has to wait for another tensor anyway: a barrier makes
 * it wait for all that was begun before.
 * @param list on tensors whose buffers' labels are the tensors' names, see placeholders()
 * @param table tensors that nothing outside the list reads or writes
 */
export function planSharing(
  kernels: Kernels,
  list: readonly Dispatch[],
  table: readonly TensorSpec[],
): string[][] {
  const { lives, waits } = follow(kernels, list, table);
  const rooms: Room[] = [];
  for (const { spec, first, last } of lives) {
    const bytes = bytesOf(spec);
    const room = waits[first] ? bestRoom(rooms, first, bytes) : undefined;
    if (room === undefined) rooms.push({ names: [spec.name], bytes, last });
    else {
      room.names.push(spec.name);
      room.bytes = Math.max(room.bytes, bytes);
      room.last = last;
    }
  }
  const planned = new Set(lives.map(({ spec }) => spec.name));
  const alone = table.filter(({ name }) => !planned.has(name)).map(({ name }) => [name]);
  return [...rooms.map(({ names }) => names), ...alone];
}

/** Of the free rooms the smallest that is large enough, or else the largest. */
function bestRoom(rooms: readonly Room[], first: number, bytes: number): Room | undefined {
  const free = rooms.filter(({ last }) => last < first).toSorted((a, b) => a.bytes - b.bytes);
  return free.find((room) => room.bytes >= bytes) ?? free.at(-1);
}

/** The tensors' lives, the first to begin first; and whether each dispatch waits for one before it. */
function follow(kernels: Kernels, list: readonly Dispatch[], table: readonly TensorSpec[]) {
  const specs = new Map(table.map((spec) => [spec.name, spec]));
  const lives = new Map<string, Life>();
  const writtenAt = new Map<string, boolean>(); // whether the last use of a buffer was a write
  const waits = list.map((dispatch, at) => {
    const uses = usesOf(kernels, dispatch);
    let waiting = false;
    for (const [name, writes] of uses) {
      const before = writtenAt.get(name);
      waiting ||= before !== undefined && (before || writes);
      const life = lives.get(name);
      const spec = specs.get(name);
      if (life) life.last = at;
      else if (spec && before === undefined && writes)
        lives.set(name, { spec, first: at, last: at });
    }
    for (const [name, writes] of uses) writtenAt.set(name, writes);
    return waiting;
  });
  return { lives: [...lives.values()], waits };
}

/** The buffers that a dispatch binds, and whether it writes to them. */
function usesOf(kernels: Kernels, { kernel, bindings }: Dispatch): Map<string, boolean> {
  const uses = new Map<string, boolean>();
  for (const { name, writes } of kernels.bindings(kernel)) {
    if (name === "sizes") continue;
    const { label } = bindings[name].buffer;
    uses.set(label, writes || (uses.get(label) ?? false));
  }
  return uses;
}
