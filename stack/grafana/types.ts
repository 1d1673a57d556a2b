// What Grafana of this version calls a dashboard, from the types that it is made with; deeper than Grafana's own, which
// leave open what belongs to a kind of panel or to a data source.
import type {
  AnnotationQuery, Dashboard, DataQuery, FieldConfig, FieldConfigSource, Panel, VariableModel,
} from '@grafana/schema';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen.d.ts';
import type {
  FieldConfig as Lines, Options as TimeSeries,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen.d.ts';

/** As JSON has it: the text of an enum's member instead of the member. */
type Json<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends readonly (infer Item)[] ? Json<Item>[] : { [Key in keyof T]: Json<T[Key]> };

/** Prometheus is a plugin: what its queries hold is not in Grafana's schema. */
type Query = DataQuery & { expr: string; legendFormat: string; instant?: boolean; range?: boolean };
type Marks = AnnotationQuery & { expr: string; useValueForTime: true; titleFormat: string; tagKeys: string; step?: string };

type Fields<Custom> = Omit<FieldConfigSource, 'defaults'> & { defaults: Omit<FieldConfig, 'custom'> & { custom?: Custom } };
type Of<Type extends string, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Type; options: Partial<Options>; fieldConfig: Fields<Partial<Custom>>; targets: Query[];
};

export type Board = Json<Omit<Dashboard, 'panels' | 'annotations' | 'templating'> & {
  panels: (Of<'timeseries', TimeSeries, Lines> | Of<'stat', Stat, never>)[];
  annotations: { list: Marks[] };
  templating: { list: VariableModel[] };
}>;
