import { X } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { IconButton } from "../ui.tsx";

interface PanelProps {
  title: string;
  /** Beside the messages, where there is room for both; else over them. */
  beside: boolean;
  onClose: () => void;
  children: ReactNode;
}

/** What stands beside the messages: a thread, the pins, what was searched. */
export function Panel({ title, beside, onClose, children }: PanelProps) {
  const { t } = useTranslation();
  const section = useRef<HTMLElement>(null);
  useFocus(section);
  return (
    <section
      ref={section}
      tabIndex={-1}
      aria-label={title}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || event.defaultPrevented) return;
        // Around the chat there may be a panel that closes on Escape too.
        event.preventDefault();
        event.stopPropagation();
        onClose();
      }}
      className={`flex min-h-0 flex-col border-line bg-surface outline-none ${beside ? "w-96 shrink-0 border-l" : "absolute inset-0 z-20"}`}
      data-testid="chat-panel"
    >
      <div
        className={`flex shrink-0 items-center justify-between border-b border-line pl-4 ${beside ? "min-h-14.25" : "min-h-12"}`}
      >
        <h2 className="truncate font-semibold">{title}</h2>
        <IconButton label={t("common.close")} onClick={onClose} data-testid="close-chat-panel">
          <X aria-hidden className="size-5" />
        </IconButton>
      </div>
      {children}
    </section>
  );
}

/** Who opens it is in it; who closes it is where they were before. */
function useFocus(section: { current: HTMLElement | null }): void {
  const opener = useRef(document.activeElement);
  useEffect(() => {
    const before = opener.current;
    const element = section.current;
    if (!element?.contains(document.activeElement)) element?.focus({ preventScroll: true });
    return () => {
      const isLost = document.activeElement === null || document.activeElement === document.body;
      if (isLost && before instanceof HTMLElement && before.isConnected)
        before.focus({ preventScroll: true });
    };
  }, [section]);
}
