/** A dashboard's JSON as Grafana's own library of types has it, narrowed to what the dashboards here use. */
import type * as common from "@grafana/grafana-foundation-sdk/common";
import type * as grafana from "@grafana/grafana-foundation-sdk/dashboard";
import type * as heatmap from "@grafana/grafana-foundation-sdk/heatmap";
import type * as prometheus from "@grafana/grafana-foundation-sdk/prometheus";
import type * as stat from "@grafana/grafana-foundation-sdk/stat";
import type * as table from "@grafana/grafana-foundation-sdk/table";
import type * as timeseries from "@grafana/grafana-foundation-sdk/timeseries";
import type * as units from "@grafana/grafana-foundation-sdk/units";

/** Enums as the text or number in JSON. Everything is optional: Grafana has a default for what is left out. */
type Json<T> = T extends string ? `${T}`
  : T extends boolean | null | undefined ? T
  : T extends number ? (`${T}` extends `${infer N extends number}` ? N : T)
  : T extends readonly (infer E)[] ? Json<E>[]
  : { [K in keyof T as K extends `_${string}` ? never : K]?: Json<T[K]> };

type Unit = Extract<(typeof units)[keyof typeof units], string>;

interface DataLink {
  title: string;
  url: string;
}

/** What is said of single columns of tables. */
interface Override {
  matcher: { id: "byName"; options: string };
  properties: (
    | { id: "unit"; value: Unit }
    | { id: "min" | "max"; value: number }
    | { id: "thresholds"; value: Json<grafana.ThresholdsConfig> }
    | { id: "links"; value: DataLink[] }
    | { id: "custom.cellOptions"; value: Json<common.TableCellOptions> }
  )[];
}

type Transformation =
  | { id: "merge"; options: Record<never, never> }
  | {
    id: "organize";
    options: {
      excludeByName: Record<string, true>;
      indexByName: Record<string, number>;
      renameByName: Record<string, string>;
    };
  };

export type Target = Json<prometheus.Dataquery> & { refId: string; expr: string };

type PanelOf<Type extends string, Options, Custom> =
  & Omit<Json<grafana.Panel>, "type" | "options" | "targets" | "fieldConfig" | "transformations">
  & {
    id: number;
    type: Type;
    title: string;
    description: string;
    gridPos: Required<Json<Omit<grafana.GridPos, "static">>>;
    targets: Target[];
    fieldConfig: {
      defaults: Omit<Json<grafana.FieldConfig>, "custom" | "unit"> & { custom?: Json<Custom>; unit?: Unit };
      overrides: Override[];
    };
    options: Json<Options>;
    transformations?: Transformation[];
  };

export type Panel =
  | PanelOf<"heatmap", heatmap.Options, heatmap.FieldConfig>
  | PanelOf<"stat", stat.Options, never>
  | PanelOf<"table", table.Options, table.FieldConfig>
  | PanelOf<"timeseries", timeseries.Options, timeseries.FieldConfig>;

/** Its panels are here while it is collapsed, and beside it otherwise. */
export type Row = Omit<Json<grafana.RowPanel>, "panels"> & {
  id: number;
  type: "row";
  title: string;
  gridPos: Panel["gridPos"];
  panels: Panel[];
};

export type Variable = Json<grafana.VariableModel> & { name: string; label: string };

export type Dashboard = Omit<Json<grafana.Dashboard>, "panels" | "templating"> & {
  uid: string;
  title: string;
  panels: (Panel | Row)[];
  templating: { list: Variable[] };
};
