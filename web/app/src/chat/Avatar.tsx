/** Each holds white letters with a contrast of at least 4.5. */
const GROUNDS = [
  "bg-indigo-700",
  "bg-rose-700",
  "bg-emerald-700",
  "bg-amber-800",
  "bg-sky-700",
  "bg-fuchsia-700",
  "bg-teal-700",
  "bg-orange-800",
] as const;

/** Somebody as a coloured disc with the first sign of their name; the name itself stands beside it. */
export function Avatar({ id, name, small = false }: { id: string; name: string; small?: boolean }) {
  let sum = 0;
  for (const sign of id) sum = (sum * 31 + (sign.codePointAt(0) ?? 0)) % 9_973;
  const size = small ? "size-5 text-[0.65rem]" : "size-9 text-base";
  return (
    <span
      aria-hidden
      className={`grid shrink-0 place-items-center rounded-full font-semibold text-white uppercase select-none ${size} ${GROUNDS[sum % GROUNDS.length]}`}
    >
      {[...name][0] ?? "?"}
    </span>
  );
}
