import type { Status } from "@parlor/sdk";
import { hueOf, initialsOf } from "./words.ts";

/** Grounds on which white letters are read well, in both lights. */
const GROUNDS = [
  "bg-[#4f46e5]",
  "bg-[#0f766e]",
  "bg-[#b4235a]",
  "bg-[#9a4f07]",
  "bg-[#1d5fbf]",
  "bg-[#6d3bb8]",
];

const DOTS: Record<Status, string> = {
  online: "bg-live",
  away: "bg-[#d97706]",
  busy: "bg-danger",
  invisible: "border-2 border-soft bg-surface",
};

/** How somebody is shown, as a colour; the word stands beside it. */
export function StatusDot({ status }: { status: Status }) {
  return <span aria-hidden className={`size-3 shrink-0 rounded-full ${DOTS[status]}`} />;
}

/** The letters of a name in its colour, with a dot for how they are shown. */
export function Avatar({
  name,
  status,
  large,
}: {
  name: string;
  status?: Status | undefined;
  large?: boolean;
}) {
  return (
    <span
      aria-hidden
      className={`relative inline-grid shrink-0 place-items-center rounded-full font-semibold text-white ${GROUNDS[hueOf(name, GROUNDS.length)]} ${large ? "size-14 text-xl" : "size-9 text-sm"}`}
    >
      {initialsOf(name)}
      {status ? (
        <span
          className={`absolute -right-0.5 -bottom-0.5 rounded-full ring-2 ring-surface ${large ? "size-4" : "size-3"} ${DOTS[status]}`}
        />
      ) : null}
    </span>
  );
}
