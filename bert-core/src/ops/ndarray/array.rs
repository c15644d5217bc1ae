//! Burn's tensors as ndarray's arrays and back, without copies where none is needed.

use burn_ndarray::NdArrayTensor;
use ndarray::{
    ArcArray, ArcArray1, ArcArray2, Array, Array2, ArrayView2, ArrayViewMut2, Dimension, Ix1, Ix2,
    IxDyn,
};

/// The elements of a tensor of any rank, in row-major order.
pub(super) fn floats(x: NdArrayTensor) -> ArcArray<f32, IxDyn> {
    let NdArrayTensor::F32(storage) = x else {
        unreachable!("the float tensors of NdArray<f32> hold f32")
    };
    let array = storage.into_shared();
    if array.is_standard_layout() {
        array
    } else {
        array.as_standard_layout().into_owned().into_shared()
    }
}

fn of_rank<D: Dimension>(x: NdArrayTensor) -> ArcArray<f32, D> {
    match floats(x).into_dimensionality() {
        Ok(array) => array,
        Err(error) => unreachable!("the rank is given by the operation: {error}"),
    }
}

/// A row-major matrix.
pub(super) fn matrix(x: NdArrayTensor) -> ArcArray2<f32> {
    of_rank::<Ix2>(x)
}

/// A vector.
pub(super) fn vector(x: NdArrayTensor) -> ArcArray1<f32> {
    of_rank::<Ix1>(x)
}

/// The elements of a row-major array.
pub(super) fn elements<D: Dimension>(array: &ArcArray<f32, D>) -> &[f32] {
    match array.as_slice() {
        Some(elements) => elements,
        None => unreachable!("arrays are row-major from `floats` on"),
    }
}

/// The elements themselves: the array's own memory where nobody shares it, a copy otherwise.
pub(super) fn into_elements<D: Dimension>(array: ArcArray<f32, D>) -> Vec<f32> {
    let length = array.len();
    let (mut elements, offset) = array.into_owned().into_raw_vec_and_offset();
    let offset = offset.unwrap_or(0);
    if offset > 0 {
        elements.drain(..offset);
    }
    elements.truncate(length);
    elements
}

/// A tensor of these elements.
pub(super) fn tensor(shape: &[usize], elements: Vec<f32>) -> NdArrayTensor {
    match Array::from_shape_vec(IxDyn(shape), elements) {
        Ok(array) => array.into_shared().into(),
        Err(error) => unreachable!("a kernel fills the shape it computes: {error}"),
    }
}

/// A matrix as a tensor.
pub(super) fn of(array: Array2<f32>) -> NdArrayTensor {
    array.into_shared().into_dyn().into()
}

/// The one element of a scalar tensor.
pub(super) fn scalar(x: NdArrayTensor) -> f32 {
    elements(&floats(x))[0]
}

/// An integer tensor as indices.
pub(super) fn indices(x: NdArrayTensor) -> Vec<usize> {
    match x {
        NdArrayTensor::I64(storage) => storage.view().iter().map(|&id| id as usize).collect(),
        NdArrayTensor::I32(storage) => storage.view().iter().map(|&id| id as usize).collect(),
        _ => unreachable!("the integer tensors of NdArray hold i64"),
    }
}

/// A row-major slice as a matrix.
pub(super) fn view(x: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    match ArrayView2::from_shape((rows, columns), x) {
        Ok(view) => view,
        Err(error) => unreachable!("the slice was made of that size: {error}"),
    }
}

/// The same, to be written.
pub(super) fn view_mut(x: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    match ArrayViewMut2::from_shape((rows, columns), x) {
        Ok(view) => view,
        Err(error) => unreachable!("the slice was made of that size: {error}"),
    }
}
