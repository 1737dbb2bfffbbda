import { DropdownMenu } from "radix-ui";
import { useTranslation } from "react-i18next";
import { isOn } from "../place/place.ts";
import { MENU_ITEM } from "../ui.tsx";
import { useBlocks } from "./blocks.ts";
import { type ReportTarget, useSafety } from "./Safety.tsx";

/** Report and block, as the last items of a menu about somebody. */
export function SafetyItems({ target }: { target: ReportTarget }) {
  const { t } = useTranslation();
  const { report, block } = useSafety();
  const { blocks } = useBlocks();
  const blocked = blocks.some(({ userId }) => userId === target.userId);
  return (
    <>
      {isOn("moderation") ? (
        <DropdownMenu.Item className={MENU_ITEM} onSelect={() => report(target)} data-testid="report">
          {t("safety.report")}
        </DropdownMenu.Item>
      ) : null}
      <DropdownMenu.Item className={MENU_ITEM} onSelect={() => block(target, !blocked)} data-testid="block">
        {t(blocked ? "safety.unblock" : "safety.block")}
      </DropdownMenu.Item>
    </>
  );
}
