import { X } from "lucide-react";
import { Tooltip } from "radix-ui";
import { type ComponentProps, createContext, type ReactNode, use, useEffect, useId, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { Logo, useName } from "./place/Brand.tsx";

type Tone = "accent" | "plain" | "danger" | "quiet";

const TONES: Record<Tone, string> = {
  accent: "bg-accent text-on-accent hover:bg-accent-strong",
  plain: "border border-line bg-surface text-ink hover:bg-sunken",
  danger: "bg-danger text-white hover:bg-danger-strong",
  quiet: "text-ink hover:bg-sunken",
};

export function Button({
  tone = "accent",
  className = "",
  ...rest
}: ComponentProps<"button"> & { tone?: Tone }) {
  return (
    <button
      type="button"
      className={`inline-flex min-h-11 items-center justify-center gap-2 rounded-xl px-4 font-semibold motion-safe:transition-colors disabled:opacity-60 ${TONES[tone]} ${className}`}
      {...rest}
    />
  );
}

/** A button of one picture: its label is read out, and shown when pointed at. */
export function IconButton({
  label,
  tone = "quiet",
  round = false,
  className = "",
  children,
  ...rest
}: ComponentProps<"button"> & { label: string; tone?: Tone; round?: boolean }) {
  return (
    <Tooltip.Root>
      <Tooltip.Trigger asChild>
        <button
          type="button"
          aria-label={label}
          className={`relative inline-flex size-11 shrink-0 items-center justify-center motion-safe:transition-colors disabled:opacity-60 ${round ? "rounded-full" : "rounded-xl"} ${TONES[tone]} ${className}`}
          {...rest}
        >
          {children}
        </button>
      </Tooltip.Trigger>
      <Tooltip.Portal>
        <Tooltip.Content
          sideOffset={6}
          className="z-50 hidden rounded-lg bg-ink px-2 py-1 text-sm text-ground pointer-fine:block"
        >
          {label}
        </Tooltip.Content>
      </Tooltip.Portal>
    </Tooltip.Root>
  );
}

export function Field({
  label,
  hint,
  error,
  ...rest
}: ComponentProps<"input"> & { label: string; hint?: string; error?: string | undefined }) {
  const id = useId();
  const note = error ?? hint;
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="font-medium">
        {label}
      </label>
      <input
        id={id}
        className="field"
        aria-invalid={error ? true : undefined}
        aria-describedby={note ? `${id}-note` : undefined}
        {...rest}
      />
      {note ? (
        <p id={`${id}-note`} className={`text-sm ${error ? "text-danger-ink" : "text-soft"}`}>
          {note}
        </p>
      ) : null}
    </div>
  );
}

/** What a menu opens with, and one of its items. */
export const MENU = "z-40 min-w-52 rounded-xl border border-line bg-surface p-1 shadow-xl";
export const MENU_ITEM =
  "flex min-h-11 cursor-pointer items-center rounded-lg px-3 text-ink outline-none data-highlighted:bg-sunken data-disabled:opacity-50";

/** A modal dialog. The browser's own: it traps the focus, closes on Escape and needs no style of its own in the page. */
export function Dialog({
  title,
  onClose,
  stays = false,
  children,
}: {
  title: string;
  onClose: () => void;
  /** Neither Escape nor a button of its own closes it: what it shows is shown once. */
  stays?: boolean;
  children: ReactNode;
}) {
  const { t } = useTranslation();
  const ref = useRef<HTMLDialogElement>(null);
  const body = useRef<HTMLDivElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog?.open) dialog?.showModal();
    // The first thing to fill in or to answer, not the button that closes.
    const first = ["input, select, textarea", "button, a"]
      .map((what) => body.current?.querySelector<HTMLElement>(what))
      .find(Boolean);
    (first ?? dialog)?.focus();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      tabIndex={-1}
      aria-labelledby={heading}
      // A browser lets a page refuse the first Escape, not a second one right after it: the key is taken as well.
      onKeyDown={(event) => stays && event.key === "Escape" && event.preventDefault()}
      onCancel={(event) => stays && event.preventDefault()}
      onClose={onClose}
      className="w-[min(28rem,calc(100vw-1.5rem))] rounded-2xl border border-line bg-surface p-5 shadow-xl"
    >
      <div className="mb-4 flex items-center justify-between gap-2">
        <h2 id={heading} className="text-lg font-semibold">
          {title}
        </h2>
        {stays ? null : (
          <IconButton label={t("common.close")} onClick={onClose} className="-m-2">
            <X aria-hidden />
          </IconButton>
        )}
      </div>
      <div ref={body}>{children}</div>
    </dialog>
  );
}

export function Alert({ children }: { children: ReactNode }) {
  return (
    <p role="alert" className="rounded-xl bg-warn-ground px-3 py-2 text-warn-ink">
      {children}
    </p>
  );
}

export function Spinner() {
  const { t } = useTranslation();
  return (
    <p role="status" className="grid h-full place-items-center p-8 text-soft">
      {t("common.loading")}
    </p>
  );
}

/** What stands at the end of every page's header, and what is said above every page. */
export const PageEnds = createContext<{ header: ReactNode; banner: ReactNode }>({
  header: null,
  banner: null,
});

/** The frame of every page but the call. */
export function Page({ title, children, aside }: { title: string; children: ReactNode; aside?: ReactNode }) {
  const { header, banner } = use(PageEnds);
  useTitle(title);
  return (
    <div className="flex min-h-full flex-col">
      <header className="border-b border-line bg-surface">
        <div className="mx-auto flex min-h-16 max-w-4xl flex-wrap items-center justify-between gap-x-4 px-4 py-2">
          <Link to="/" className="flex min-h-11 items-center gap-2 text-xl font-bold">
            <Logo className="size-8" />
            {useName()}
          </Link>
          <div className="flex items-center gap-2">
            {aside}
            {header}
          </div>
        </div>
      </header>
      {banner}
      <main id="content" className="mx-auto w-full max-w-4xl flex-1 px-4 py-6 sm:py-10">
        {children}
      </main>
    </div>
  );
}

export function useTitle(title: string): void {
  const name = useName();
  useEffect(() => {
    document.title = title === name ? title : `${title} · ${name}`;
  }, [title, name]);
}
