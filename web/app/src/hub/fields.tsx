import { type ReactNode, useId } from "react";

/** One of some, by a menu of the browser's own. */
export function Choice<T extends string>({
  label,
  hint,
  value,
  options,
  onChange,
  disabled = false,
  testId,
}: {
  label: string;
  hint?: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
  disabled?: boolean;
  testId?: string;
}) {
  const id = useId();
  return (
    <div className="grid content-start gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      <select
        id={id}
        className="field"
        value={value}
        disabled={disabled}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.target.value as T)}
        data-testid={testId}
      >
        {options.map(([key, words]) => (
          <option key={key} value={key}>
            {words}
          </option>
        ))}
      </select>
      {hint ? (
        <p id={`${id}-hint`} className="text-sm text-soft">
          {hint}
        </p>
      ) : null}
    </div>
  );
}

/** Yes or no. */
export function Check({
  label,
  hint,
  on,
  onChange,
  testId,
}: {
  label: string;
  hint?: string;
  on: boolean;
  onChange: (on: boolean) => void;
  testId?: string;
}) {
  return (
    <label className="flex min-h-11 items-center gap-3">
      <input
        type="checkbox"
        className="size-5 shrink-0 accent-accent"
        checked={on}
        onChange={(event) => onChange(event.target.checked)}
        data-testid={testId}
      />
      <span>
        <span className="block font-medium">{label}</span>
        {hint ? <span className="block text-sm text-soft">{hint}</span> : null}
      </span>
    </label>
  );
}

/** Several lines of text. */
export function Lines({
  label,
  hint,
  value,
  longest,
  rows = 3,
  onChange,
  testId,
}: {
  label: string;
  hint?: string;
  value: string;
  longest: number;
  rows?: number;
  onChange: (value: string) => void;
  testId?: string;
}) {
  const id = useId();
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      <textarea
        id={id}
        rows={rows}
        className="field"
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange([...event.target.value].slice(0, longest).join(""))}
        data-testid={testId}
      />
      {hint ? (
        <p id={`${id}-hint`} className="text-sm text-soft">
          {hint}
        </p>
      ) : null}
    </div>
  );
}

/** A part of a long form. */
export function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset className="grid gap-4 border-t border-line pt-4 first:border-t-0 first:pt-0">
      <legend className="float-left mb-1 w-full text-sm font-semibold tracking-wide text-soft uppercase">
        {title}
      </legend>
      {children}
    </fieldset>
  );
}

/** How many wait, beside a name. */
export function Count({ count, loud = false, label }: { count: number; loud?: boolean; label: string }) {
  if (count === 0) return null;
  return (
    <span
      className={`inline-grid h-5 min-w-5 shrink-0 place-items-center rounded-full px-1.5 text-xs font-bold ${loud ? "bg-danger text-white" : "bg-accent text-on-accent"}`}
      data-testid="count"
    >
      <span aria-hidden>{count > 99 ? "99+" : count}</span>
      <span className="sr-only">{label}</span>
    </span>
  );
}

/** Somebody, or a room, as a disc with a letter; its colour follows the name. */
export function Disc({ name, size = "size-9" }: { name: string; size?: string }) {
  const tone = DISCS[[...name].reduce((sum, sign) => sum + (sign.codePointAt(0) ?? 0), 0) % DISCS.length];
  return (
    <span
      aria-hidden
      className={`grid shrink-0 place-items-center rounded-full text-sm font-bold text-white uppercase ${size} ${tone}`}
    >
      {[...name][0] ?? "?"}
    </span>
  );
}

const DISCS = [
  "bg-indigo-700",
  "bg-rose-700",
  "bg-emerald-700",
  "bg-amber-800",
  "bg-sky-700",
  "bg-fuchsia-700",
];
