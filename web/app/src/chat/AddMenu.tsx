import { BarChart3, Check, Hourglass, Paperclip, Plus } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { useRef } from "react";
import { useTranslation } from "react-i18next";
import { MENU, MENU_ITEM } from "../ui.tsx";
import { useChat } from "./view.ts";

/** How long a message may stay, in seconds. */
export const SPANS = { s30: 30, m5: 300, h1: 3_600, d1: 86_400, w1: 604_800 } as const;
export type Span = keyof typeof SPANS;

export type AddedKind =
  | { kind: "files"; files: File[] }
  | { kind: "poll" }
  | { kind: "span"; span: Span | null };

/** What a message can have beside words. */
export function AddMenu({ span, onAdd }: { span: Span | null; onAdd: (what: AddedKind) => void }) {
  const { t } = useTranslation();
  const { snapshot, takesFiles } = useChat();
  const picker = useRef<HTMLInputElement>(null);
  // What rooms that keep nothing say can neither be voted on nor be looked at.
  const keeps = snapshot.info?.settings?.retention !== "none";
  return (
    <>
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        aria-label={t("chat.attach")}
        onChange={(event) => {
          onAdd({ kind: "files", files: [...(event.target.files ?? [])] });
          event.target.value = "";
        }}
        data-testid="file-input"
      />
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger asChild>
          <button
            type="button"
            aria-label={t("chat.add")}
            className="m-1 inline-flex size-9 shrink-0 items-center justify-center rounded-full text-soft hover:bg-sunken hover:text-ink"
            data-testid="add"
          >
            <Plus aria-hidden className="size-5" />
          </button>
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content align="start" side="top" sideOffset={8} collisionPadding={8} className={MENU}>
            {takesFiles ? (
              <DropdownMenu.Item
                className={`${MENU_ITEM} gap-3`}
                onSelect={() => picker.current?.click()}
                data-testid="attach"
              >
                <Paperclip aria-hidden className="size-4" />
                {t("chat.attach")}
              </DropdownMenu.Item>
            ) : null}
            {keeps ? (
              <DropdownMenu.Item
                className={`${MENU_ITEM} gap-3`}
                onSelect={() => onAdd({ kind: "poll" })}
                data-testid="ask"
              >
                <BarChart3 aria-hidden className="size-4" />
                {t("chat.ask")}
              </DropdownMenu.Item>
            ) : null}
            <DropdownMenu.Sub>
              <DropdownMenu.SubTrigger className={`${MENU_ITEM} gap-3`}>
                <Hourglass aria-hidden className="size-4" />
                {t("chat.timer")}
              </DropdownMenu.SubTrigger>
              <DropdownMenu.Portal>
                <DropdownMenu.SubContent sideOffset={4} collisionPadding={8} className={MENU}>
                  {([null, ...Object.keys(SPANS)] as (Span | null)[]).map((it) => (
                    <DropdownMenu.Item
                      key={it}
                      className={`${MENU_ITEM} gap-3`}
                      onSelect={() => onAdd({ kind: "span", span: it })}
                    >
                      <Check aria-hidden className={`size-4 ${it === span ? "" : "invisible"}`} />
                      {it ? t(`chat.spans.${it}`) : t("chat.timerOff")}
                    </DropdownMenu.Item>
                  ))}
                </DropdownMenu.SubContent>
              </DropdownMenu.Portal>
            </DropdownMenu.Sub>
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
    </>
  );
}
