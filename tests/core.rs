//! Tests of the numerical core and of what reads specs and data, in one program: it is compiled and
//! linked once, and its tests fill all cores to the end.

mod agreement;
mod files;
mod support;

mod backpack_example;
mod data_files;
mod estimators;
mod layers;
mod mutations;
mod panel;
mod products;
mod rules;
mod spectral;
mod streams;
mod structure;
mod torch_generator;
mod transformers;
mod wide;
