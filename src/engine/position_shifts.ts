/**
 * Moves of many rows at once. Where rules compare positions with one another alone, the origin of the positions
 * moves in place of the rows if fewer rows stay (`write/position_frame.ts`).
 *
 * Invariant: each row has the position that it would have if rows alone had moved, to the bit.
 */

import { InputError } from "../base/errors.ts";
import { isRelative, looksAtPositions } from "../numerics/score_rule.ts";
import type { EditJournal, RowShift } from "../write/edit_journal.ts";
import type { EditLog } from "../write/edit_log.ts";
import type { CheckedEdit, EditTarget } from "../write/edits.ts";
import { checkPlace } from "../write/places.ts";
import type { SlotTable } from "../write/slot_table.ts";
import type { EngineRules } from "./engine_snapshot.ts";
import type { PositionShift } from "./question_options.ts";

/** The parts of an engine that move its rows. */
export interface ShiftConfig {
  readonly rules: EngineRules;
  readonly journal: EditJournal | undefined;
  /** The newest rows. */
  readonly newest: () => EditTarget;
  /** Performs checked edits, all or none, which are the moves of `shift` where it is given. */
  readonly perform: (edits: readonly CheckedEdit[], shift?: RowShift) => void;
  /** Counts edits that were performed. */
  readonly noteEdits: (count: number) => void;
}

/** Keys, or queries. */
interface MovedKind {
  readonly kind: "moveKey" | "moveQuery";
  readonly slots: SlotTable;
  readonly log: EditLog;
}

/** The effect of a move, before it is made. */
interface Survey {
  /** Rows that move, and rows that do not. */
  readonly moved: number;
  readonly left: number;
  /** Whether every position, before and after, may be held by an origin. */
  readonly isExact: boolean;
  /** The positions that the next key and the next query take. */
  readonly next: readonly number[];
}

/** The moves of many rows of one engine. */
export class PositionShifts {
  readonly #config: ShiftConfig;

  constructor(config: ShiftConfig) {
    this.#config = config;
    config.rules.frame.settle = () => this.#settle();
  }

  /** Moves all rows whose positions are in a range; returns how many. */
  shift(operation: string, shift: PositionShift): number {
    const { rules: { rule, frame }, journal, perform, noteEdits } = this.#config, { by, to } = shift;
    if (!looksAtPositions(rule)) return 0;
    const kinds = this.#kinds(), { moved, left, isExact, next } = this.#survey(operation, kinds, shift);
    if (moved === 0 && to < Infinity) return 0;
    const movesOrigin = isExact && left < moved && isRelative(rule) && !journal &&
      frame.isExact(frame.origin + by);
    if (movesOrigin) this.#moveOrigin(by, this.#moves(operation, kinds, shift, false));
    else {
      const edits = this.#moves(operation, kinds, shift, true);
      frame.admit(next);
      frame.admit(positionsOf(edits));
      perform(edits, { by, from: shift.from, to, nextKey: next[0], nextQuery: next[1] });
    }
    kinds.forEach(({ slots }, at) => slots.nextPosition = frame.held(next[at]));
    noteEdits(moved);
    return moved;
  }

  #kinds(): readonly MovedKind[] {
    const { rules: { keySlots, querySlots }, newest } = this.#config, { keys, queries } = newest();
    return [
      { kind: "moveKey", slots: keySlots, log: keys },
      { kind: "moveQuery", slots: querySlots, log: queries },
    ];
  }

  /** Checks the positions after a move. */
  #survey(operation: string, kinds: readonly MovedKind[], { by, from, to }: PositionShift): Survey {
    const { rules: { rule, frame } } = this.#config, next: number[] = [];
    let isExact = frame.isExact(by), moved = 0, left = 0;
    for (const { slots, log } of kinds) {
      let behind = 0;
      for (const slot of slots.liveSlots()) {
        const position = frame.position(log.position(slot)), isMoved = from <= position && position < to;
        const place = isMoved ? position + by : position;
        if (!Number.isFinite(place)) refuse(operation, `position ${position}`, place);
        behind = Math.max(behind, place + 1);
        isExact &&= frame.isExact(position) && frame.isExact(place);
        if (!isMoved) left++;
        else {
          checkPlace(operation, "position", place, rule);
          moved++;
        }
      }
      // Rows to come follow those that moved.
      const before = frame.position(slots.nextPosition);
      const after = Math.max(behind, to === Infinity ? before + by : before);
      if (!Number.isFinite(after)) refuse(operation, "the position of rows to come", after);
      isExact &&= frame.isExact(before) && frame.isExact(after);
      next.push(after);
    }
    return { moved, left, isExact, next };
  }

  /** The moves of the rows in a range, or of those beside it to where they are. */
  #moves(
    operation: string,
    kinds: readonly MovedKind[],
    { by, from, to }: PositionShift,
    inRange: boolean,
  ): CheckedEdit[] {
    const { frame } = this.#config.rules, edits: CheckedEdit[] = [];
    for (const { kind, slots, log } of kinds) {
      for (const slot of slots.liveSlots()) {
        const position = frame.position(log.position(slot));
        if ((from <= position && position < to) !== inRange) continue;
        const place = inRange ? position + by + 0 : position;
        edits.push({ operation, kind, slot: slots.nameOf(slot), position: place });
      }
    }
    return edits;
  }

  /** Moves the origin, and some rows back to where they are. */
  #moveOrigin(by: number, left: readonly CheckedEdit[]): void {
    const { rules: { frame }, perform } = this.#config;
    frame.origin += by;
    try {
      if (left.length > 0) perform(left);
    } catch (error) {
      frame.origin -= by;
      throw error;
    }
  }

  /** Holds all rows by the origin 0. */
  #settle(): void {
    const { rules: { frame }, noteEdits } = this.#config, kinds = this.#kinds();
    const next = kinds.map(({ slots }) => frame.position(slots.nextPosition));
    const none = { by: 0, from: Infinity, to: -Infinity };
    this.#moveOrigin(-frame.origin, this.#moves("positions", kinds, none, false));
    kinds.forEach(({ slots }, at) => slots.nextPosition = next[at]);
    noteEdits(0);
  }
}

function positionsOf(edits: readonly CheckedEdit[]): number[] {
  return edits.map((edit) => "position" in edit && edit.position !== null ? edit.position : 0);
}

function refuse(operation: string, what: string, place: number): never {
  throw new InputError(operation, `${what} would become ${place}`, "a finite one");
}
