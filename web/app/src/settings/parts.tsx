import { Check } from "lucide-react";
import type { ReactNode } from "react";

/** One thing that can be set, under a heading of its own. */
export function Section({
  title,
  intro,
  children,
  testId,
}: {
  title: string;
  intro?: string;
  children: ReactNode;
  testId?: string;
}) {
  return (
    <section
      aria-label={title}
      className="grid gap-4 rounded-2xl border border-line bg-surface p-5 shadow-sm"
      data-testid={testId}
    >
      <div>
        <h2 className="text-lg font-semibold">{title}</h2>
        {intro ? <p className="text-soft">{intro}</p> : null}
      </div>
      {children}
    </section>
  );
}

/** A word on how something stands. */
export function Badge({ on, children }: { on: boolean; children: ReactNode }) {
  return (
    <span
      className={`inline-flex items-center gap-1 rounded-full px-2.5 py-0.5 text-sm font-medium ${on ? "bg-tint text-ink" : "bg-sunken text-soft"}`}
    >
      {on ? <Check aria-hidden className="size-4" /> : null}
      {children}
    </span>
  );
}

/** What was done, read out when it appears. */
export function Done({ children }: { children: ReactNode }) {
  return (
    <p role="status" className="text-sm font-medium text-soft empty:hidden" data-testid="done">
      {children}
    </p>
  );
}
