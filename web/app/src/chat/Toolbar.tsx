import type { Message } from "@parlor/sdk";
import {
  BookmarkX,
  Copy,
  EllipsisVertical,
  Flag,
  Forward,
  History,
  type LucideIcon,
  MessagesSquare,
  Pencil,
  Pin,
  PinOff,
  Reply,
  SmilePlus,
  Trash2,
} from "lucide-react";
import { DropdownMenu } from "radix-ui";
import type { ComponentProps } from "react";
import { useTranslation } from "react-i18next";
import { isOn } from "../place/place.ts";
import { useSafety } from "../safety/Safety.tsx";
import { IconButton, MENU, MENU_ITEM } from "../ui.tsx";
import { EmojiPicker, handy } from "./EmojiPicker.tsx";
import { useChat } from "./view.ts";

interface ToolbarProps {
  message: Message;
  inThread: boolean;
  onEdit: () => void;
  onReply: () => void;
  /** Something of it is open: it has to stay. */
  onOpenChange: (open: boolean) => void;
}

const SMALL = "size-8! rounded-lg! pointer-coarse:size-11!";

/** What one can do to a message, where one points at it. */
export function Toolbar({ message, inThread, onEdit, onReply, onOpenChange }: ToolbarProps) {
  const { t } = useTranslation();
  const { room, myId, act, mayWrite } = useChat();
  const isMine = message.sender.id === myId;
  const react = (emoji: string) => void act(() => room.acts.react(message.id, emoji, true));
  return (
    <div
      className="absolute -top-4 right-2 z-10 flex rounded-xl border border-line bg-surface p-0.5 shadow-sm"
      data-testid="toolbar"
    >
      {mayWrite ? (
        <>
          {handy().map((emoji) => (
            <IconButton
              key={emoji}
              label={t("chat.reactions.add", { emoji, name: t(`emoji.${emoji}`) })}
              className={`${SMALL} hidden! text-lg @lg:inline-flex!`}
              onClick={() => react(emoji)}
            >
              <span aria-hidden>{emoji}</span>
            </IconButton>
          ))}
          <EmojiPicker label={t("chat.react")} onPick={react} onOpenChange={onOpenChange}>
            <button
              type="button"
              aria-label={t("chat.react")}
              className={`${SMALL} inline-flex items-center justify-center hover:bg-sunken`}
              data-testid="react"
            >
              <SmilePlus aria-hidden className="size-4" />
            </button>
          </EmojiPicker>
          {inThread ? null : (
            <IconButton label={t("chat.reply")} className={SMALL} onClick={onReply} data-testid="reply">
              <Reply aria-hidden className="size-4" />
            </IconButton>
          )}
        </>
      ) : null}
      {isMine && canEdit(message) && mayWrite ? (
        <IconButton label={t("chat.edit")} className={SMALL} onClick={onEdit} data-testid="edit">
          <Pencil aria-hidden className="size-4" />
        </IconButton>
      ) : null}
      <DropdownMenu.Root modal={false} onOpenChange={onOpenChange}>
        <DropdownMenu.Trigger asChild>
          <button
            type="button"
            aria-label={t("chat.actions", { name: message.sender.nickname })}
            className={`${SMALL} inline-flex items-center justify-center hover:bg-sunken`}
            data-testid="message-menu"
          >
            <EllipsisVertical aria-hidden className="size-4" />
          </button>
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content align="end" sideOffset={4} collisionPadding={8} className={MENU}>
            <Items message={message} inThread={inThread} />
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
    </div>
  );
}

/** What a message says can be changed; a poll's question and the words that somebody else said cannot. */
export function canEdit({ content }: Message): boolean {
  return !content.poll && !content.forwardedFrom && !content.system;
}

function Items({ message, inThread }: { message: Message; inThread: boolean }) {
  const { t } = useTranslation();
  const { room, snapshot, myId, keepsOrder, pins, mayWrite, act, openThread, show, keepUnread } = useChat();
  const { report } = useSafety();
  const { id, roomId, sender, content } = message;
  const isMine = sender.id === myId;
  const canHang = !inThread && !content.threadId && mayWrite && snapshot.info?.kind !== "match";
  const canForward =
    content.text !== "" && !content.poll && !content.attachments && snapshot.info?.kind !== "match";
  return (
    <>
      {canHang ? (
        <Item
          icon={MessagesSquare}
          label={t("chat.thread")}
          onSelect={() => openThread(id)}
          data-testid="start-thread"
        />
      ) : null}
      {canForward ? (
        <Item
          icon={Forward}
          label={t("chat.forward")}
          onSelect={() => show({ kind: "forward", message })}
          data-testid="forward"
        />
      ) : null}
      {pins ? (
        <Item
          icon={message.pinnedAt ? PinOff : Pin}
          label={t(message.pinnedAt ? "chat.unpin" : "chat.pin")}
          onSelect={() => void act(() => room.acts.pin(id, !message.pinnedAt))}
          data-testid="pin"
        />
      ) : null}
      {content.text ? (
        <Item
          icon={Copy}
          label={t("chat.copy")}
          onSelect={() => void act(() => navigator.clipboard.writeText(content.text))}
        />
      ) : null}
      {snapshot.unread && !isMine ? (
        <Item
          icon={BookmarkX}
          label={t("chat.markUnread")}
          onSelect={() => keepUnread(id)}
          data-testid="mark-unread"
        />
      ) : null}
      {keepsOrder && message.editedAt ? (
        <Item
          icon={History}
          label={t("chat.history")}
          onSelect={() => show({ kind: "versions", message })}
          data-testid="versions"
        />
      ) : null}
      {isMine || !isOn("moderation") ? null : (
        <Item
          icon={Flag}
          label={t("safety.reportMessage")}
          onSelect={() => report({ userId: sender.id, nickname: sender.nickname, roomId, messageId: id })}
          data-testid="report-message"
        />
      )}
      {isMine || keepsOrder ? (
        <Item
          icon={Trash2}
          danger
          label={t("chat.delete")}
          onSelect={() => show({ kind: "delete", message })}
          data-testid="delete"
        />
      ) : null}
    </>
  );
}

interface ItemProps extends ComponentProps<typeof DropdownMenu.Item> {
  icon: LucideIcon;
  label: string;
  danger?: boolean;
}

function Item({ icon: Icon, label, danger = false, ...rest }: ItemProps) {
  return (
    <DropdownMenu.Item className={`${MENU_ITEM} gap-3 ${danger ? "text-danger-ink!" : ""}`} {...rest}>
      <Icon aria-hidden className="size-4 shrink-0" />
      {label}
    </DropdownMenu.Item>
  );
}
